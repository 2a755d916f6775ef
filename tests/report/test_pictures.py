from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.report.pictures import is_picture, pictures, round_factor


def decoded(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def test_eight_bit_inputs_come_back_bit_for_bit():
    x = torch.arange(0, 192).view(3, 8, 8) / 255
    seen = pictures(x, x, (0.0, 1.0))
    assert (decoded(seen.clean) == np.arange(192).reshape(3, 8, 8).transpose(1, 2, 0)).all()
    assert (decoded(seen.adversarial) == decoded(seen.clean)).all()


@pytest.mark.parametrize("shape", [(1, 4, 5), (4, 5)])
def test_gray_inputs_are_gray_pictures_of_their_size(shape):
    seen = pictures(torch.rand(shape), torch.rand(shape), (0.0, 1.0))
    assert decoded(seen.clean).shape == (4, 5)


def test_bounds_are_black_and_white():
    x = torch.tensor([[-1.0, 0.0, 1.0]])
    assert decoded(pictures(x, x, (-1.0, 1.0)).clean).tolist() == [[0, 128, 255]]


def test_gray_differences_are_red_up_blue_down_white_in_between():
    x = torch.full((1, 1, 3), 0.5)
    seen = pictures(x, x + torch.tensor([0.1, 0.0, -0.1]), (0.0, 1.0))
    up, same, down = decoded(seen.difference)[0].astype(int)
    assert seen.factor == 10
    assert seen.two_colors
    assert up[0] > up[2] + 50
    assert down[2] > down[0] + 50
    assert same.tolist() == [255, 255, 255]


def test_color_differences_move_each_channel_from_the_middle_by_the_stated_factor():
    x = torch.full((3, 1, 1), 0.5, dtype=torch.float64)
    seen = pictures(x, x + torch.tensor([0.1, -0.1, 0.0]).view(3, 1, 1), (0.0, 1.0))
    assert not seen.two_colors
    assert decoded(seen.difference)[0, 0].tolist() == [255, 0, 128]


@pytest.mark.parametrize("largest", [0.001, 0.031, 0.0999, 0.1, 0.34, 0.5, 1.0])
def test_factor_is_round_and_cuts_nothing_off(largest):
    factor = round_factor(largest)
    assert factor * largest <= 1 + 1e-3
    assert 2.5 * factor * largest > 1  # the next one would
    assert float(f"{factor:.0e}") == factor
    assert f"{factor:.0e}"[0] in "125"


@pytest.mark.parametrize("shape", [(64,), (2, 8, 8), (4, 8, 8), (1, 1, 8, 8)])
def test_other_shapes_are_no_pictures(shape):
    assert not is_picture(shape)
    assert pictures(torch.rand(shape), torch.rand(shape), (0.0, 1.0)) is None


def test_of_large_inputs_every_second_pixel_is_shown_as_it_is():
    x = torch.arange(0, 200 * 130).view(1, 200, 130).remainder(256) / 255
    seen = pictures(x, x, (0.0, 1.0))
    assert seen.every == 2
    assert (decoded(seen.clean) == (255 * x[0, ::2, ::2]).round().numpy()).all()
    assert pictures(x[:, :128], x[:, :128], (0.0, 1.0)).every == 2
    assert pictures(x[:, :128, :128], x[:, :128, :128], (0.0, 1.0)).every == 1
