"""Events as samples, and personal data in them masked."""
