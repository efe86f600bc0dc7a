"""The languages whose structure is understood: one table. Everything that differs between them stands here.

A query's captures say what a node is: ``class``, ``impl`` and ``module`` hold members; ``function``, ``method`` and
``type`` are definitions; ``value`` is a function bound to a name by assignment; ``constant`` is a named value.
``name`` is what it is called, ``owner`` what it belongs to where that is not its surroundings. ``leading`` are comments and
the like: directly above a definition they belong to it. ``around`` belongs to what it has as ``wrapped``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_python
import tree_sitter_rust
import tree_sitter_typescript
from msgspec import Struct


class Language(Struct, frozen=True):
    """How to find definitions in files of these ``endings``. ``grammar`` yields what tree-sitter takes."""

    name: str
    endings: tuple[str, ...]
    grammar: Callable[[], object]
    query: str


_PYTHON = """
(class_definition name: (identifier) @name) @class
(function_definition name: (identifier) @name) @function
(module (expression_statement (assignment left: (identifier) @name)) @constant)
(module (type_alias_statement left: (type (identifier) @name)) @type)
(class_definition body: (block (expression_statement (assignment left: (identifier) @name)) @constant))
(decorated_definition definition: (_) @wrapped) @around
(comment) @leading
"""

_JAVASCRIPT = """
(class_declaration name: (_) @name) @class
(variable_declarator name: (identifier) @name value: (class)) @class
(assignment_expression left: (_) @name right: (class)) @class
(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(method_definition name: (_) @name) @method
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression) (generator_function)]) @value
(assignment_expression
  left: [(identifier) (member_expression)] @name
  right: [(arrow_function) (function_expression) (generator_function)]) @value
(pair key: (property_identifier) @name value: [(arrow_function) (function_expression)]) @value
((program (lexical_declaration (variable_declarator name: (identifier) @name value: (_) @is) @constant))
  (#not-match? @is "^require\\\\("))
((program (variable_declaration (variable_declarator name: (identifier) @name value: (_) @is) @constant))
  (#not-match? @is "^require\\\\("))
(export_statement (lexical_declaration (variable_declarator name: (identifier) @name) @constant))
(lexical_declaration (variable_declarator) @wrapped) @around
(variable_declaration (variable_declarator) @wrapped) @around
(export_statement declaration: (_) @wrapped) @around
(comment) @leading
(decorator) @leading
"""
_FIELDS = "(field_definition property: (_) @name value: [(arrow_function) (function_expression)]) @value"

_TYPESCRIPT = """
(abstract_class_declaration name: (_) @name) @class
(internal_module name: (_) @name) @module
(interface_declaration name: (_) @name) @type
(type_alias_declaration name: (_) @name) @type
(enum_declaration name: (_) @name) @type
(function_signature name: (_) @name) @function
(abstract_method_signature name: (_) @name) @method
(public_field_definition name: (_) @name value: [(arrow_function) (function_expression)]) @value
(ambient_declaration (_) @wrapped) @around
"""

_GO = """
(function_declaration name: (identifier) @name) @function
(method_declaration
  receiver: (parameter_list (parameter_declaration type: [
    (type_identifier) @owner
    (generic_type type: (type_identifier) @owner)
    (pointer_type (type_identifier) @owner)
    (pointer_type (generic_type type: (type_identifier) @owner))]))
  name: (field_identifier) @name) @method
(type_spec name: (type_identifier) @name) @type
(type_alias name: (type_identifier) @name) @type
(source_file (const_declaration (const_spec name: (identifier) @name) @constant))
(source_file (var_declaration (var_spec name: (identifier) @name) @constant))
(source_file (var_declaration (var_spec_list (var_spec name: (identifier) @name) @constant)))
(comment) @leading
"""

_JAVA = """
(class_declaration name: (identifier) @name) @class
(interface_declaration name: (identifier) @name) @class
(enum_declaration name: (identifier) @name) @class
(record_declaration name: (identifier) @name) @class
(annotation_type_declaration name: (identifier) @name) @class
(method_declaration name: (identifier) @name) @method
(constructor_declaration name: (identifier) @name) @method
(compact_constructor_declaration name: (identifier) @name) @method
(field_declaration declarator: (variable_declarator name: (identifier) @name)) @constant
[(line_comment) (block_comment)] @leading
"""

_RUST = """
(impl_item type: [
  (type_identifier) @name
  (generic_type type: (type_identifier) @name)
  (scoped_type_identifier name: (type_identifier) @name)]) @impl
(trait_item name: (type_identifier) @name) @class
(mod_item name: (identifier) @name body: (declaration_list)) @module
(function_item name: (identifier) @name) @function
(function_signature_item name: (identifier) @name) @function
(struct_item name: (type_identifier) @name) @type
(enum_item name: (type_identifier) @name) @type
(union_item name: (type_identifier) @name) @type
(type_item name: (type_identifier) @name) @type
(macro_definition name: (identifier) @name) @function
(const_item name: (identifier) @name) @constant
(static_item name: (identifier) @name) @constant
[(line_comment) (block_comment) (attribute_item)] @leading
"""

LANGUAGES: tuple[Language, ...] = (
    Language("python", (".py", ".pyi", ".pyw"), tree_sitter_python.language, _PYTHON),
    Language("javascript", (".js", ".jsx", ".mjs", ".cjs"), tree_sitter_javascript.language, _JAVASCRIPT + _FIELDS),
    Language("typescript", (".ts", ".mts", ".cts"), tree_sitter_typescript.language_typescript, _JAVASCRIPT + _TYPESCRIPT),
    Language("tsx", (".tsx",), tree_sitter_typescript.language_tsx, _JAVASCRIPT + _TYPESCRIPT),
    Language("go", (".go",), tree_sitter_go.language, _GO),
    Language("java", (".java",), tree_sitter_java.language, _JAVA),
    Language("rust", (".rs",), tree_sitter_rust.language, _RUST),
)

BY_NAME: Mapping[str, Language] = MappingProxyType({language.name: language for language in LANGUAGES})
BY_ENDING: Mapping[str, Language] = MappingProxyType({e: language for language in LANGUAGES for e in language.endings})


def _inverted(table: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name: language for language, names in table.items() for name in names.split()})


OTHERS: Mapping[str, str] = _inverted(
    {
        "batch": ".bat .cmd",
        "c": ".c .h",
        "clojure": ".clj .cljs",
        "cmake": ".cmake",
        "cpp": ".cc .cpp .cxx .hh .hpp .hxx .ipp",
        "csharp": ".cs",
        "css": ".css .scss .less",
        "cython": ".pyx .pxd",
        "dart": ".dart",
        "elixir": ".ex .exs",
        "erlang": ".erl",
        "fsharp": ".fs .fsx",
        "graphql": ".graphql .gql",
        "groovy": ".groovy .gradle",
        "haskell": ".hs",
        "hcl": ".tf .hcl",
        "html": ".html .htm .vue .svelte .j2 .jinja .jinja2",
        "ini": ".cfg .ini .conf .properties .env",
        "json": ".json",
        "julia": ".jl",
        "kotlin": ".kt .kts",
        "lua": ".lua",
        "make": ".mk",
        "nix": ".nix",
        "objc": ".m .mm",
        "ocaml": ".ml .mli",
        "perl": ".pl .pm",
        "php": ".php",
        "powershell": ".ps1 .psm1",
        "protobuf": ".proto",
        "r": ".r",
        "rego": ".rego",
        "ruby": ".rb .rake .gemspec",
        "scala": ".scala",
        "shell": ".sh .bash .zsh .fish",
        "sql": ".sql",
        "starlark": ".bzl .star",
        "swift": ".swift",
        "template": ".tpl .tmpl",
        "toml": ".toml",
        "xml": ".xml",
        "yaml": ".yaml .yml",
        "zig": ".zig",
    }
)
"""Languages read by blocks of lines: language by ending."""

NAMED: Mapping[str, str] = _inverted(
    {
        "cmake": "cmakelists.txt",
        "dockerfile": "dockerfile containerfile",
        "go.mod": "go.mod",
        "groovy": "jenkinsfile",
        "ini": ".gitignore .gitattributes .gitmodules .dockerignore .editorconfig .npmrc .flake8 .coveragerc procfile",
        "just": "justfile",
        "make": "makefile gnumakefile",
        "requirements": "requirements.txt constraints.txt",
        "ruby": "rakefile gemfile vagrantfile",
        "starlark": "build workspace",
        "toml": "pipfile",
    }
)
"""The same by file name, in lower case."""

SHEBANGS: Mapping[str, str] = _inverted(
    {"javascript": "node", "perl": "perl", "php": "php", "python": "python", "ruby": "ruby", "shell": "sh bash dash ksh zsh"}
)
"""The same by the program that the first line of a script without an ending names."""

PROSE = frozenset({".md", ".mdx", ".markdown", ".rst", ".txt", ".adoc", ".asciidoc"})
"""Endings of what is read by headings."""
