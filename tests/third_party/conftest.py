"""What lies here are packages of their own: tests/test_third_party.py installs them and runs their tests."""

collect_ignore_glob = ["*"]
