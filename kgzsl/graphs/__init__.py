"""Graphs: recipes, compilation, the `KnowledgeGraph` artifact, views of it, and conversions."""

from kgzsl.graphs.attach import NewClass, attach
from kgzsl.graphs.compile import compile_graph
from kgzsl.graphs.distances import Distances, shortest_paths
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.hierarchy import Hierarchy, rooted
from kgzsl.graphs.link import Link, link
from kgzsl.graphs.link_table import LinkTable, read_links, write_links
from kgzsl.graphs.nearest import Nearest, nearest_seen
from kgzsl.graphs.recipe import Recipe, load_recipe, shipped_recipes
from kgzsl.graphs.rename import rename_nodes
from kgzsl.graphs.views import View, ancestors, both_directions, descendants, directed, hop_distance, top_neighbours_view, typed, undirected
from kgzsl.graphs.walks import top_neighbours

__all__ = [
    "Distances",
    "Hierarchy",
    "KnowledgeGraph",
    "Link",
    "LinkTable",
    "Nearest",
    "NewClass",
    "Recipe",
    "View",
    "ancestors",
    "attach",
    "both_directions",
    "compile_graph",
    "descendants",
    "directed",
    "hop_distance",
    "link",
    "load_recipe",
    "nearest_seen",
    "read_links",
    "rename_nodes",
    "rooted",
    "shipped_recipes",
    "shortest_paths",
    "top_neighbours",
    "top_neighbours_view",
    "typed",
    "undirected",
    "write_links",
]
