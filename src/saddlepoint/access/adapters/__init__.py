"""From what a model comes as (code, files of weights, graphs, services) to what an attack can ask."""
