"""The inbound end: how a source is declared, verified, decoded, greeted and redacted. Pure: nothing here does I/O.

config    one source of relay.yaml           verify    is this request from whom it says?
presets   what is known of each vendor       decode    bytes to a JSON-like value
inbound   a request as these modules see it  redact    what is never shown of a request
client    a request as the vendor signs it   docs      the tables of docs/sources.md

`verify` is declared in verify_config and signature_config, with fields and place for what is in several of them; signed
says what a signature is made over, and verify_signature whether it is right.
"""
