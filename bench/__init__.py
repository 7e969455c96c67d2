"""The relay beside its references, in one run on one machine: `python -m bench --help`. See README.md here."""
