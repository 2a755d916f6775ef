from __future__ import annotations

import dataclasses as dc

import torch

from saddlepoint.auditing.summary import Example
from saddlepoint.report.gallery import CARDS, build_gallery

MANY = 2_000_000


def test_closest_calls_come_first(summary, read_pixels):
    gallery = build_gallery(summary, summary.threats[0], "g0", read_pixels, MANY)
    assert [card.example.sample for card in gallery.cards] == list(range(14, -1, -1))
    assert {(card.label, card.predicted) for card in gallery.cards} == {("cat", "dog")}
    assert gallery.left_out == 0


def test_their_number_is_limited(summary, read_pixels):
    linf = summary.threats[0]
    many = tuple(dc.replace(linf.gallery[0], sample=k) for k in range(60))
    gallery = build_gallery(summary, dc.replace(linf, gallery=many), "g0", read_pixels, MANY)
    assert len(gallery.cards) == CARDS
    assert gallery.left_out == 0


def test_large_pictures_are_shown_until_their_weight_is_reached(summary):
    def read(one: Example):
        x = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(one.sample))
        return x, x.flip(1)

    gallery = build_gallery(summary, summary.threats[0], "g0", read, 1_000_000)
    weight = sum(card.pictures.weight for card in gallery.cards)
    assert 5 <= len(gallery.cards) < 15
    assert gallery.left_out == 15 - len(gallery.cards)
    assert weight <= 1_000_000
    assert gallery.every == 2


def test_inputs_that_are_no_pictures_have_cards_without(summary):
    gallery = build_gallery(summary, summary.threats[0], "g0", lambda _: (torch.zeros(9), torch.ones(9)), MANY)
    assert len(gallery.cards) == 15
    assert all(card.pictures is None for card in gallery.cards)


def test_choices_count_the_cards_and_pairs_without_any_are_known(summary, read_pixels):
    linf = summary.threats[0]
    some = tuple(dc.replace(e, label=e.sample % 2, attack="ab"[e.sample % 2]) for e in linf.gallery)
    gallery = build_gallery(summary, dc.replace(linf, gallery=some), "g0", read_pixels, MANY)
    assert [(c.mark, c.name, c.count) for c in gallery.classes] == [("c0", "cat", 8), ("c1", "dog", 7)]
    assert [(c.mark, c.name, c.count) for c in gallery.attacks] == [("a0", "a", 8), ("a1", "b", 7)]
    assert gallery.void == (("c0", "a1"), ("c1", "a0"))


def test_one_class_and_one_attack_are_nothing_to_choose_from(summary, read_pixels):
    gallery = build_gallery(summary, summary.threats[0], "g0", read_pixels, MANY)
    assert (gallery.classes, gallery.attacks, gallery.void) == ((), (), ())


def test_classes_of_one_name_stay_two(summary, read_pixels):
    linf = summary.threats[0]
    some = tuple(dc.replace(e, label=e.sample % 2) for e in linf.gallery)
    same = dc.replace(summary, data={"name": "things", "classes": ["crane", "crane"]})
    gallery = build_gallery(same, dc.replace(linf, gallery=some), "g0", read_pixels, MANY)
    assert [(c.mark, c.count) for c in gallery.classes] == [("c0", 8), ("c1", 7)]
