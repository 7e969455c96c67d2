"""The recipe language: YAML in, plans and rendered steps out. Pure: it reads the workspace's files and nothing else.

yaml_tree                             YAML with places
tokens, translate, expression         `$.a | lower`, from text to something that can be evaluated
paths, operators, sandbox, filters    what its parts mean
parse, parse_step, check              a recipe, and whether it fits its workspace
accounts, secrets, workspace          relay.yaml and the folder
files, watch, reload                  what the folder holds, when it has settled, what of it is in force
samples, trial, tried                 dry runs
testing, expected, comparing          the recipes' own tests, and where they aren't met
updating, yaml_edit, yaml_writing     what came, written into the tests
"""

from relay.recipes.accounts import Connection, Source
from relay.recipes.batches import Batch
from relay.recipes.expression import Expression, compile_expression
from relay.recipes.names import Names
from relay.recipes.parse import parse_recipe, version_of
from relay.recipes.recipe import BrokenRecipe, Plan, PlannedStep, Problem, Recipe, RecipeTest, Step
from relay.recipes.reload import as_it_was
from relay.recipes.respond import Respond, SenderAnswer
from relay.recipes.samples import sample_event
from relay.recipes.scope import EventView, Scope
from relay.recipes.testing import TestResult, run_tests
from relay.recipes.trial import try_event, view_of
from relay.recipes.tried import Trial, TryAnswer, TryResult
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
    "load_workspace",
    "parse_recipe",
    "run_tests",
    "sample_event",
    "try_event",
    "version_of",
    "view_of",
]
