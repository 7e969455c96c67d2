"""The recipe language: YAML in, plans and rendered steps out. Pure: it reads the workspace's files and nothing else.

yaml_tree, yaml_traps                 YAML with places, and what commonly goes wrong in it
tokens, translate, expression         `$.a | lower`, from text to something that can be evaluated
jsonpath, walk, paths                 what a path matches
operators, sandbox, filters, tables   what the other parts of an expression mean
parse, parse_step, batches, respond   a recipe
check, advice, codes                  whether it fits its workspace, and what a person should know of it
accounts, secrets, workspace          relay.yaml and the folder
files, watch, reload                  what the folder holds, when it has settled, what of it is in force
trying                                dry runs and the recipes' own tests; yaml_edit, yaml_writing: updating these
drafting, masking                     from an event to a sample and a recipe
drawing, schema                       the workspace as a picture, and as a JSON Schema
"""

from relay.recipes.accounts import Connection, Source
from relay.recipes.batches import Batch
from relay.recipes.expression import Expression, compile_expression
from relay.recipes.names import Names
from relay.recipes.parse import parse_recipe, version_of
from relay.recipes.parse_step import step_roots
from relay.recipes.recipe import BrokenRecipe, Plan, PlannedStep, Problem, Recipe, RecipeTest, Step
from relay.recipes.reload import as_it_was
from relay.recipes.respond import Respond, SenderAnswer
from relay.recipes.scope import EventView, Scope, decoded_view, gathered, one_word
from relay.recipes.trying.samples import sample_event
from relay.recipes.trying.testing import TestResult, run_tests
from relay.recipes.trying.trial import try_event, view_of
from relay.recipes.trying.tried import Trial, TryAnswer, TryResult
from relay.recipes.workspace import Workspace, load_workspace

__all__ = [
    "Batch",
    "BrokenRecipe",
    "Connection",
    "EventView",
    "Expression",
    "Names",
    "Plan",
    "PlannedStep",
    "Problem",
    "Recipe",
    "RecipeTest",
    "Respond",
    "Scope",
    "SenderAnswer",
    "Source",
    "Step",
    "TestResult",
    "Trial",
    "TryAnswer",
    "TryResult",
    "Workspace",
    "as_it_was",
    "compile_expression",
    "decoded_view",
    "gathered",
    "load_workspace",
    "one_word",
    "parse_recipe",
    "run_tests",
    "sample_event",
    "step_roots",
    "try_event",
    "version_of",
    "view_of",
]
