"""How good an answer is: the field's scorers, each figure under the protocol that it was computed by.

Belongs here: pure functions from answers and truth to figures, used by training, by gates and by reports alike. Does
not belong here: running models (`models.evaluate`), the product's stages (`benchmarks.scores`), pages (`models.cards`).
"""
