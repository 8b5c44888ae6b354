"""Reads Python for the checks: parses, never runs. One request a line, one answer a line, both JSON.

Request  {"id": 1, "text": "..."}
Answer   {"id": 1, "error": null | {"line": 3, "says": "..."}, "unknown": {name: line}, "twice": {key: [count, line]}}

`unknown` are names that are used and that nothing in the module binds; scopes are not told apart, so that a name bound
anywhere counts as bound. `twice` are definitions and dictionary keys that stand more than once in one body.
"""

import ast
import builtins
import json
import sys

KNOWN = set(dir(builtins)) | {
    "__file__", "__name__", "__path__", "__doc__", "__spec__", "__package__", "__loader__", "__builtins__",
    "__class__", "__module__", "__qualname__", "__annotations__", "__all__", "WindowsError",
    "unicode", "basestring", "long", "xrange", "raw_input", "unichr", "reduce", "file", "cmp", "execfile", "reload",
    "buffer", "apply", "intern", "coerce", "StandardError", "reveal_type",
}

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def look(tree):
    bound, used, star = set(), {}, False
    twice = {}
    for node in ast.walk(tree):
        kind = type(node)
        if kind is ast.Name:
            if type(node.ctx) is ast.Load:
                used.setdefault(node.id, node.lineno)
            else:
                bound.add(node.id)
        elif kind is ast.arg:
            bound.add(node.arg)
        elif kind is ast.alias:
            if node.name == "*":
                star = True
            bound.add(node.asname or node.name.split(".")[0])
        elif kind is ast.ExceptHandler:
            if node.name:
                bound.add(node.name)
        elif kind in (ast.Global, ast.Nonlocal):
            bound.update(node.names)
        elif kind is ast.Dict:
            count("key", [(k.value, k.lineno) for k in node.keys
                          if type(k) is ast.Constant and type(k.value) is str], twice)
        elif kind is ast.Module or kind is ast.ClassDef:
            if kind is ast.ClassDef:
                bound.add(node.name)
            count(getattr(node, "name", ""), [(n.name, n.lineno) for n in node.body
                                              if isinstance(n, FUNCTION + (ast.ClassDef,))
                                              and not n.decorator_list], twice)
        elif kind in (ast.FunctionDef, ast.AsyncFunctionDef):
            bound.add(node.name)
        elif kind.__name__ in ("MatchAs", "MatchStar", "TypeVar", "ParamSpec", "TypeVarTuple"):
            if node.name:
                bound.add(node.name)
        elif kind.__name__ == "MatchMapping" and node.rest:
            bound.add(node.rest)
    unknown = {} if star else {n: l for n, l in used.items() if n not in bound and n not in KNOWN}
    return unknown, twice


def count(scope, names, twice):
    seen = {}
    for name, line in names:
        seen.setdefault(name, []).append(line)
    for name, lines in seen.items():
        if len(lines) > 1:
            key = scope + "." + str(name)
            before = twice.get(key, [0, 0])
            twice[key] = [before[0] + len(lines) - 1, lines[-1]]


def answer(request):
    reply = {"id": request["id"], "error": None, "unknown": {}, "twice": {}}
    try:
        tree = ast.parse(request["text"])
        reply["unknown"], reply["twice"] = look(tree)
    except SyntaxError as error:
        reply["error"] = {"line": error.lineno or 1, "says": str(error.msg)[:200]}
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        reply["error"] = {"line": 1, "says": type(error).__name__ + ": " + str(error)[:200]}
    return reply


def main():
    import warnings

    warnings.simplefilter("ignore")
    for line in sys.stdin.buffer:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


main()
