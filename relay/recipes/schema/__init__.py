"""JSON Schemas of recipes and of relay.yaml, made from the declarations, so that an editor completes and checks.

parts, language      what they are made of; what is said where an expression can stand
settings             a pydantic model as a schema
recipe, steps        of a recipe
relay_yaml           of relay.yaml
files                where they lie in a workspace, and whether they are current
"""

from relay.recipes.schema.files import FOLDER, MODELINES, refresh, stale, texts, write
from relay.recipes.schema.recipe import recipe_schema
from relay.recipes.schema.relay_yaml import workspace_schema

__all__ = ["FOLDER", "MODELINES", "recipe_schema", "refresh", "stale", "texts", "workspace_schema", "write"]
