"""SPARQL over a graph, in memory: SELECT, ASK, CONSTRUCT and DESCRIBE; nothing is changed and nothing is fetched."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from kgzsl.errors import InvalidInputError, KgzslError, require
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.rdf import compact, prefixes_of, serializable, triples

Value = str | int | float | bool | None

#: In SPARQL, what a keyword cannot be in: escapes of names, IRIs, strings (the longest kinds first), comments.
_OPAQUE = re.compile(
    r"""\\.|<[^<>"{}|^`\\\x00-\x20]*>|'{3}(?:[^'\\]|\\.|'(?!''))*'{3}|"{3}(?:[^"\\]|\\.|"(?!""))*"{3}"""
    r"""|'(?:[^'\\\n\r]|\\.)*'|"(?:[^"\\\n\r]|\\.)*"|\#[^\n\r]*""",
    re.DOTALL,
)
#: Variables, and names behind a prefix. A prefix with `service` in it is none: the parser needs no space behind a keyword.
_NAME = re.compile(r"[?$]\w+|(?<![\w.-])((?:(?!service)[\w.-])*):(?:(?:[\w:]|%[0-9a-f]{2})(?:[\w.:-]|%[0-9a-f]{2})*)?", re.IGNORECASE)
_UPDATE = re.compile(r"\b(INSERT|DELETE|LOAD|CLEAR|CREATE|DROP|COPY|MOVE|ADD|WITH)\b", re.IGNORECASE)
_READS = re.compile(r"\b(SELECT|ASK|CONSTRUCT|DESCRIBE)\b", re.IGNORECASE)
_PLACE = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)

EXAMPLES = {
    "the ten classes with most kinds": "SELECT ?name (COUNT(?kind) AS ?kinds) { ?kind kgzsl:hypernym ?class . ?class skos:prefLabel ?name }"
    " GROUP BY ?class ?name ORDER BY DESC(?kinds) LIMIT 10",
    "all that is above the lion": "SELECT ?above ?name { wn30:n02129165 kgzsl:hypernym+ ?above . ?above skos:prefLabel ?name }",
    "is every lion an animal?": "ASK { wn30:n02129165 kgzsl:hypernym* wn30:n00015388 }",
    "nodes whose gloss speaks of a race": 'SELECT ?node ?gloss { ?node skos:definition ?gloss FILTER CONTAINS(?gloss, "race") } LIMIT 20',
    "edges per relation": "SELECT ?label (COUNT(*) AS ?edges) { ?relation a owl:ObjectProperty ; rdfs:label ?label . ?s ?relation ?o }"
    " GROUP BY ?relation ?label ORDER BY DESC(?edges)",
    "the weightiest edges": "SELECT ?s ?p ?o ?w { ?e rdf:subject ?s ; rdf:predicate ?p ; rdf:object ?o ; kgzsl:weight ?w }"
    " ORDER BY DESC(?w) LIMIT 10",
}


@dataclass(frozen=True)
class Answer:
    """What a query gave.

    Attributes
    ----------
    kind : `select`, `ask` or `construct` (also of DESCRIBE).
    columns : variables of a SELECT; subject, predicate, object of a CONSTRUCT; `answer` of an ASK.
    rows : IRIs as CURIEs, numbers and booleans as such, other literals as text, unbound variables as None.
    truncated : whether there were more rows than the limit.
    """

    kind: Literal["select", "ask", "construct"]
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    truncated: bool


class GraphStore:
    """A graph as a SPARQL store in memory; made once, asked often. Its triples are those of `kgzsl.graphs.rdf`, weights included.

    Raises
    ------
    MissingDependencyError : the `graphs` extra is not installed.
    """

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.graph = graph
        self.prefixes = serializable(prefixes_of(graph))

    @cached_property
    def _store(self) -> Any:
        ox: Any = require("pyoxigraph", "graphs")
        store = ox.Store()
        store.bulk_extend(triples(self.graph, weights=True, quads=True))
        return store

    def query(self, text: str, *, limit: int | None = 1000, seconds: float | None = 60.0) -> Answer:
        """Return the answer to a SPARQL query; the graph's prefixes and rdf, rdfs, owl, skos, xsd need no declaration.

        Parameters
        ----------
        limit : rows that are returned at most; None = all.
        seconds : time that the query may take; None = any. A query that is given up may go on in its thread until the process ends.

        Raises
        ------
        InvalidInputError : not a query (the place is shown), an update, or one that asks another machine (SERVICE).
        KgzslError : it took longer.
        """
        refuse(text)
        if limit is not None and limit < 1:
            raise InvalidInputError("the limit of rows is at least 1", received=limit)
        store, result = self._store, _Result()
        worker = threading.Thread(target=result.run, args=(store, text, self.prefixes, limit), daemon=True)
        worker.start()
        worker.join(seconds)
        if worker.is_alive():
            result.given_up = True
            raise KgzslError(
                f"a query takes at most {seconds:g} seconds",
                received="one that took longer",
                remedy="narrow its patterns, let them share variables, or allow more: --seconds",
            )
        if isinstance(result.error, SyntaxError):
            raise InvalidInputError(
                "a query is written in SPARQL 1.1",
                received=_shown(text, str(result.error)),
                remedy=_remedy(text, self.prefixes),
            ) from result.error
        if result.error is not None:
            raise KgzslError("a query runs to its end", received=f"{type(result.error).__name__}: {result.error}") from result.error
        return result.answer


class _Result:
    """The answer or the error of a query that runs in a thread of its own: pyoxigraph cannot be interrupted, but lets others run."""

    answer: Answer
    error: BaseException | None = None
    given_up = False

    def run(self, store: Any, text: str, prefixes: dict[str, str], limit: int | None) -> None:
        try:
            self.answer = self._answer(store.query(text, prefixes=prefixes), prefixes, limit)
        except BaseException as error:
            self.error = error

    def _answer(self, found: Any, prefixes: dict[str, str], limit: int | None) -> Answer:
        ox: Any = require("pyoxigraph", "graphs")
        if isinstance(found, ox.QueryBoolean):
            return Answer("ask", ("answer",), ((bool(found),),), False)
        select = isinstance(found, ox.QuerySolutions)
        columns = tuple(v.value for v in found.variables) if select else ("subject", "predicate", "object")
        rows: list[tuple[Value, ...]] = []
        for row in found:
            if self.given_up or (limit is not None and len(rows) == limit):
                return Answer("select" if select else "construct", columns, tuple(rows), True)
            terms = row if select else (row.subject, row.predicate, row.object)
            rows.append(tuple(_value(term, prefixes, ox) for term in terms))
        return Answer("select" if select else "construct", columns, tuple(rows), False)


def refuse(text: str) -> None:
    """Raise InvalidInputError where a text would change the graph or ask another machine, whatever case or line it says so in."""
    bare = _NAME.sub(" ", _bare(text))
    if not bare.strip(" \n\r\t'"):
        raise InvalidInputError("a query says what is wanted", received="an empty one", remedy="kgzsl graph query --help has examples")
    if "service" in bare.lower():
        raise InvalidInputError("a query stays on this machine", received="one with SERVICE", remedy="ask the graph alone")
    update, reads = _UPDATE.search(bare), _READS.search(bare)
    if update and (not reads or update.start() < reads.start()):
        raise InvalidInputError(
            "a query changes nothing", received=f"one with {update.group().upper()}", remedy="ask with SELECT, ASK, CONSTRUCT or DESCRIBE"
        )


def _bare(text: str) -> str:
    return _OPAQUE.sub(lambda m: " '' " if m.group()[0] in "'\"" else " ", text)


def _remedy(text: str, prefixes: dict[str, str]) -> str:
    bare = _bare(text)
    declared = {*prefixes, "_", *re.findall(r"\bPREFIX\s+([\w.-]*):", bare, re.IGNORECASE)}
    unknown = sorted({m.group(1) for m in _NAME.finditer(bare) if m.group(1) is not None} - declared)
    known = f"declared already: {', '.join(sorted(prefixes))}"
    return f"declare the prefix {', '.join(unknown)}; {known}" if unknown else f"correct it there; prefixes {known}"


def _shown(text: str, complaint: str) -> str:
    """Return the complaint with the line that it is about and a mark below the place."""
    found = _PLACE.match(complaint)
    if not found:
        return complaint
    line, column = int(found.group(1)), int(found.group(2))
    lines = text.splitlines() or [""]
    shown = lines[min(line, len(lines)) - 1]
    start = max(0, column - 60)
    mark = " " * (min(column, len(shown) + 1) - 1 - start) + "^"
    return f"line {line}, column {column}: {_cut(found.group(3))}\n    {shown[start : start + 100]}\n    {mark}"


def _cut(said: str) -> str:
    """The parser may list all that could stand there, the list is cut at a comma; or say a sentence in the place of the list."""
    if sentence := re.fullmatch(r"expected one of (The [^,]+), \[_\]", said):
        return sentence.group(1)
    return said if len(said) <= 160 else said[: said.rfind(",", 0, 160)] + " …"


_NUMBERS = {f"http://www.w3.org/2001/XMLSchema#{n}" for n in ("decimal", "float", "double")}


def _value(term: Any, prefixes: dict[str, str], ox: Any) -> Value:
    if term is None or isinstance(term, bool):
        return term
    if isinstance(term, ox.NamedNode):
        return compact(term.value, prefixes)
    if isinstance(term, ox.BlankNode):
        return f"_:{term.value}"
    if not isinstance(term, ox.Literal):
        return str(term)
    kind = term.datatype.value
    try:
        if kind == "http://www.w3.org/2001/XMLSchema#boolean":
            return term.value in ("true", "1")
        if kind == "http://www.w3.org/2001/XMLSchema#integer":
            return int(term.value)
        if kind in _NUMBERS and term.value not in ("NaN", "INF", "-INF"):
            return float(term.value)
    except ValueError:  # ill-typed, which RDF allows
        pass
    return str(term.value)
