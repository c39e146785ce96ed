"""Losses of motion: nothing for equal pairs, the right sign, masks, and pictures that learn to move."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from citygan.losses.flow import flow_loss, warp_loss
from citygan.ops.farneback import FarnebackSettings
from tests.test_farneback import moved

BOX = FarnebackSettings(winsize=9, gaussian=False)


def pair(x: float, y: float, seed: int = 0, side: int = 48) -> tuple[Tensor, Tensor]:
    """A colour texture and the same moved by (x, y) pixels, [1, 3, H, W] in [-1, 1]."""
    first, second = (torch.from_numpy(a).float()[None, None] / 127.5 - 1 for a in moved(side, side, x, y, seed))
    tint = torch.tensor([1.0, 0.9, 0.8]).view(1, 3, 1, 1)
    return first * tint, second * tint


def test_equal_pairs_cost_nothing() -> None:
    real = pair(1.5, -1)
    for occlusion in (None, torch.zeros(1, 48, 48), torch.ones(1, 48, 48)):
        assert float(flow_loss(*real, *real, occlusion=occlusion)) == 0


def test_motion_counts_and_looks_do_not() -> None:
    """A fake of other pictures that moves alike, one that stands still, and one that goes the other way."""
    real = pair(1.5, 0)
    alike, still, back = (float(flow_loss(*real, *pair(x, 0, seed=7))) for x in (1.5, 0, -1.5))
    assert alike < 0.35 < still < back
    assert still == pytest.approx(0.75, abs=0.25) and back == pytest.approx(1.5, abs=0.35)  # |dx| averaged with |dy|


def test_the_flow_is_that_of_grey_levels() -> None:
    real, fake = pair(1, 1), pair(-1, 0.5, seed=3)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    grey = [(frame * luma).sum(1, keepdim=True) for frame in (*real, *fake)]
    torch.testing.assert_close(flow_loss(*grey), flow_loss(*real, *fake), rtol=1e-4, atol=1e-6)


def test_only_the_generated_frames_get_gradients_and_these_are_finite() -> None:
    real = [frame.clone().requires_grad_() for frame in pair(1, 0)]
    fake = [frame.clone().requires_grad_() for frame in pair(0, 1, seed=2)]
    flat = [torch.full_like(frame, -1.0).requires_grad_() for frame in fake]
    for generated in (fake, flat):
        flow_loss(real[0], real[1], generated[0], generated[1]).backward()
        assert all(frame.grad is not None and torch.isfinite(frame.grad).all() for frame in generated)
    assert all(frame.grad is not None and frame.grad.any() for frame in fake)
    assert all(frame.grad is None for frame in real)


def test_pixels_without_correspondence_are_left_out() -> None:
    real, fake = pair(1, 0), pair(0, 1, seed=2)
    occlusion = torch.zeros(1, 48, 48, dtype=torch.uint8)
    assert torch.equal(flow_loss(*real, *fake, BOX, occlusion), flow_loss(*real, *fake, BOX))
    occlusion[:, :, 24:] = 1
    left = flow_loss(*real, *fake, BOX, occlusion)
    right = flow_loss(*real, *fake, BOX, 1 - occlusion)
    torch.testing.assert_close((left + right) / 2, flow_loss(*real, *fake, BOX))
    assert not torch.isclose(left, right)
    everything = torch.ones_like(occlusion)
    second = fake[1].clone().requires_grad_()
    nothing = flow_loss(*real, fake[0], second, BOX, everything)
    nothing.backward()
    assert float(nothing.detach()) == 0 and second.grad is not None and not second.grad.any()


def test_a_fake_pair_learns_to_move_as_the_real_one() -> None:
    real = pair(1.5, 0)
    still = pair(0, 0, seed=5)[0]
    second = still.clone().requires_grad_()
    optimizer = torch.optim.Adam([second], lr=0.02)
    losses = []
    for _ in range(40):
        loss = flow_loss(*real, still, second, BOX)
        optimizer.zero_grad()
        loss.backward()
        assert second.grad is not None and torch.isfinite(second.grad).all()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]


def test_float32_under_autocast_too() -> None:
    real, fake = pair(1, 0), pair(0, 1, seed=2)
    plain = flow_loss(*real, *fake), warp_loss(*fake, torch.zeros(1, 2, 48, 48))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = flow_loss(*real, *fake), warp_loss(*fake, torch.zeros(1, 2, 48, 48))
    assert torch.equal(again[0], plain[0]) and torch.equal(again[1], plain[1])
    assert flow_loss(*real, fake[0].bfloat16(), fake[1].bfloat16()).dtype == torch.float32


def test_frames_of_several_sizes_and_other_channels_are_refused() -> None:
    one, other = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9)
    with pytest.raises(ValueError, match="of one size"):
        flow_loss(one, one, one, other)
    with pytest.raises(ValueError, match="of one size"):
        warp_loss(one, other, torch.zeros(1, 2, 8, 8))
    with pytest.raises(ValueError, match="got 2 channels"):
        two = torch.zeros(1, 2, 8, 8)
        flow_loss(two, two, two, two)
    with pytest.raises(ValueError, match="flow"):
        warp_loss(one, one, torch.zeros(1, 2, 8, 9))


# the warped next frame


def test_a_frame_carried_back_by_its_own_flow_costs_next_to_nothing() -> None:
    first, second = pair(2, -1)
    flow = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 48, 48)
    right, none, wrong = (float(warp_loss(first, second, sign * flow)) for sign in (1, 0, -1))
    assert right < 0.01 < none < wrong


def test_what_leaves_the_picture_and_what_is_hidden_does_not_count() -> None:
    first = torch.zeros(1, 3, 6, 8)
    second = torch.full_like(first, 0.5).requires_grad_()
    flow = torch.zeros(1, 2, 6, 8)
    flow[:, 0] = 3
    loss = warp_loss(first, second, flow)
    assert float(loss.detach()) == 0.5
    loss.backward()
    assert second.grad is not None
    assert not second.grad[..., :3].any() and second.grad[..., 3:].all()  # columns 0 to 4 are read at 3 to 7
    hidden = torch.zeros(1, 6, 8, dtype=torch.uint8)
    hidden[:, :, :4] = 1
    moved_on = second.detach().clone()
    moved_on[..., 7] = -1  # where column 4, the one that is left, is read
    assert float(warp_loss(first, moved_on, flow, hidden)) == 1
    hidden[:, :, 4] = 1
    assert float(warp_loss(first, moved_on, flow, hidden)) == 0


def test_the_flow_gets_no_gradient() -> None:
    first, second = (frame.clone().requires_grad_() for frame in pair(1, 0))
    flow = torch.zeros(1, 2, 48, 48, requires_grad=True)
    warp_loss(first, second, flow).backward()
    assert flow.grad is None and first.grad is not None and second.grad is not None
    assert first.grad.any() and second.grad.any()
