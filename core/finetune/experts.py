"""The experts of gpt-oss, trained around at 4 bits: kept in MXFP4 as the checkpoint has them.

Nine tenths of gpt-oss are the weights of its experts. The libraries train it with all of them dequantized,
42 GB for gpt-oss-20b; here they stay in 4.25 bits a weight, about 10 GB, and one expert at a time is
dequantized while it multiplies, forward and again backward. Frozen: the gradient passes through them.
The format is that of OCP Microscaling (MX) v1.0: 32 four-bit floats (E2M1) share a power of two (E8M0).

Imports torch at once: only `loading` imports this, and only when a model needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

METHOD = "mxfp4_packed"
# The sixteen values of an E2M1 float: a sign, two bits of exponent, one of mantissa.
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
SCALE_BIAS = 127
BLOCK = 32  # weights that share a scale


def packed_options(folder: Path) -> dict[str, Any]:
    """What `from_pretrained` must be told to keep the experts of an MXFP4 checkpoint as they are."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    # With this left in, transformers would ask for kernels that cannot train, or dequantize all.
    del config.quantization_config
    return {"config": config, "quantization_config": PackedConfig()}


@register_quantization_config(METHOD)
class PackedConfig(QuantizationConfigMixin):
    def __init__(self, **_: Any) -> None:
        self.quant_method = METHOD


@register_quantizer(METHOD)
class PackedQuantizer(HfQuantizer):
    """A way of loading: before the weights are read, `PackedExperts`, whose tensors are named as in the
    checkpoint, take the place of the model's experts. Nothing is converted."""

    @property
    def is_trainable(self) -> bool:
        return True

    def is_serializable(self) -> bool:
        return False  # only the adapter is ever saved

    def _process_model_before_weight_loading(self, model: Any, **_: Any) -> None:
        for module in list(model.modules()):
            if type(getattr(module, "experts", None)).__name__ == "GptOssExperts":
                module.experts = PackedExperts(model.config)


class PackedExperts(nn.Module):
    """GptOssExperts over packed weights: the same tensors in, the same sums out."""

    packed = ("gate_up_proj_blocks", "gate_up_proj_scales", "down_proj_blocks", "down_proj_scales")

    def __init__(self, config: Any) -> None:
        super().__init__()
        hidden, inner, count = config.hidden_size, config.intermediate_size, config.num_local_experts
        self.alpha, self.limit = config.swiglu_alpha, config.swiglu_limit
        for name, rows, columns in (("gate_up_proj", 2 * inner, hidden), ("down_proj", hidden, inner)):
            self.add(f"{name}_blocks", torch.empty(count, rows, columns // BLOCK, BLOCK // 2, dtype=torch.uint8))
            self.add(f"{name}_scales", torch.empty(count, rows, columns // BLOCK, dtype=torch.uint8))
            self.add(f"{name}_bias", torch.empty(count, rows))

    def add(self, name: str, tensor: Tensor) -> None:
        self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))

    def project(self, name: str, expert: int, x: Tensor) -> Tensor:
        blocks, scales, bias = (getattr(self, f"{name}_{part}")[expert] for part in ("blocks", "scales", "bias"))
        return PackedLinear.apply(x, blocks, scales) + bias

    def forward(self, hidden: Tensor, router_indices: Tensor, routing_weights: Tensor) -> Tensor:
        """hidden `(tokens, hidden)`; router_indices and routing_weights `(tokens, experts a token)`."""
        total = torch.zeros_like(hidden)
        for expert in router_indices.unique().tolist():
            tokens, places = torch.where(router_indices == expert)
            gate_up = self.project("gate_up_proj", expert, hidden[tokens])
            gate = gate_up[..., ::2].clamp(max=self.limit)
            up = gate_up[..., 1::2].clamp(-self.limit, self.limit)
            gated = (up + 1) * (gate * torch.sigmoid(gate * self.alpha))
            told = self.project("down_proj", expert, gated) * routing_weights[tokens, places, None]
            total.index_add_(0, tokens, told.to(total.dtype))
        return total


class PackedLinear(torch.autograd.Function):
    """x `(tokens, in)` times the transpose of a frozen packed weight; nothing dequantized is kept."""

    @staticmethod
    def forward(context: Any, x: Tensor, blocks: Tensor, scales: Tensor) -> Tensor:
        context.save_for_backward(blocks, scales)
        context.input_dtype = x.dtype
        return x @ dequantize(blocks, scales, x.dtype).T

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        blocks, scales = context.saved_tensors
        gradient = gradients[0] @ dequantize(blocks, scales, gradients[0].dtype)
        return gradient.to(context.input_dtype), None, None


def dequantize(blocks: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights `(out, in)` of `blocks` uint8 `(out, in / 32, 16)`, two weights a byte with the first in the low
    half, and `scales` uint8 `(out, in / 32)`."""
    values = torch.tensor(E2M1, dtype=dtype, device=blocks.device)
    pairs = torch.stack((blocks & 0x0F, blocks >> 4), dim=-1)
    weights = values[pairs.int()].flatten(-2)
    powers = torch.exp2(scales.float() - SCALE_BIAS).to(dtype)
    return (weights * powers.unsqueeze(-1)).flatten(-2)
