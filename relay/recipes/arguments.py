"""Literals among an expression's words, alone and as the arguments of a filter: what is known before any event."""

from __future__ import annotations

from typing import Any

from relay.recipes.tokens import Token

LITERAL_WORDS = {"true": True, "false": False, "null": None}


def literal(tokens: list[Token], position: int) -> tuple[bool, Any, int]:
    """(whether a literal stands here, its value, the position after it)."""
    token = tokens[position]
    if token.kind in ("text", "number"):
        return True, token.value, position + 1
    if token.is_word(*LITERAL_WORDS):
        return True, LITERAL_WORDS[token.value], position + 1
    if token.is_sign("-") and position + 1 < len(tokens) and tokens[position + 1].kind == "number":
        return True, -tokens[position + 1].value, position + 2
    return False, None, position


def literals(tokens: list[Token], position: int) -> tuple[tuple[Any, ...] | None, int]:
    """The arguments in brackets at `position`, where there are any and all are literals; None where they are not."""
    if position >= len(tokens) or not tokens[position].is_sign("("):
        return (), position
    arguments: list[Any] = []
    position += 1
    if position < len(tokens) and tokens[position].is_sign(")"):
        return (), position + 1
    while position < len(tokens):
        is_literal, value, position = literal(tokens, position)
        if not is_literal or position >= len(tokens):
            return None, position
        arguments.append(value)
        if tokens[position].is_sign(")"):
            return tuple(arguments), position + 1
        if not tokens[position].is_sign(","):
            return None, position
        position += 1
    return None, position


def leading(tokens: list[Token], position: int) -> tuple[Any, ...]:
    """The arguments from `position` on that are literals, up to the first that isn't."""
    arguments: list[Any] = []
    while True:
        is_literal, value, position = literal(tokens, position)
        if not is_literal or not tokens[position].is_sign(",", ")"):
            return tuple(arguments)
        arguments.append(value)
        if tokens[position].is_sign(")"):
            return tuple(arguments)
        position += 1
