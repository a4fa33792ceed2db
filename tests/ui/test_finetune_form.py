"""The form has a field for each setting, tells its bounds, and gives back what it was filled with."""

from __future__ import annotations

from dataclasses import fields, replace

import gradio as gr
import pytest

from core.errors import TrainingError
from core.finetune.config import TrainConfig
from ui.finetune_form import SETTINGS, build_form, changed_by, config_of, explanation, values_of
from ui.finetune_words import setting_value
from ui.i18n import LANGUAGES, texts

NAMES = [each.name for each in fields(TrainConfig)]


def test_the_form_has_a_field_for_each_setting_of_a_run_and_no_other() -> None:
    with gr.Blocks():
        form = build_form("m", ())
    assert sorted(["model", *form.settings]) == sorted(NAMES)
    assert list(form.settings) == list(SETTINGS)


def test_the_form_begins_with_the_recipe() -> None:
    with gr.Blocks():
        form = build_form(TrainConfig().model, ())
    assert config_of([field.value for field in form.inputs()]) == TrainConfig()


@pytest.mark.parametrize("setting", [each for each in fields(TrainConfig) if each.name != "model"],
                         ids=lambda each: each.name)
def test_each_setting_is_explained_with_bounds_unit_and_recipe(setting: object) -> None:
    assert hasattr(setting, "metadata") and hasattr(setting, "name") and hasattr(setting, "default")
    html = explanation(setting)  # type: ignore[arg-type]
    for language in LANGUAGES:
        assert f'lang="{language}"' in html and f"train_setting.{setting.name}.help" in texts(language)
        for bound in ("low", "high"):
            if bound in setting.metadata:
                assert setting_value(language, setting.metadata[bound]) in html


def test_settings_survive_the_way_into_the_form_and_back() -> None:
    config = replace(TrainConfig(), model="x/y", batch_size=1, learning_rate=1.5e-5, packing=True, eval_share=0.25,
                     target_modules=("auto",), seed=2**32 - 1)
    assert config_of(values_of(config)) == config


def test_an_empty_field_means_the_recipe_and_a_browser_s_number_is_understood() -> None:
    values = values_of(TrainConfig())
    values[1 + SETTINGS.index("epochs")] = None
    values[1 + SETTINGS.index("batch_size")] = 2.0
    assert config_of(values) == replace(TrainConfig(), batch_size=2)


def test_a_value_out_of_bounds_is_refused_by_name() -> None:
    values = values_of(TrainConfig())
    values[1 + SETTINGS.index("batch_size")] = 0
    with pytest.raises(TrainingError) as refused:
        config_of(values)
    assert refused.value.code == "train_setting_out_of_range" and refused.value.values["field"] == "batch_size"


def test_an_offer_changes_what_it_names_alone() -> None:
    changed = config_of(changed_by(values_of(TrainConfig()), {"batch_size": "1", "nonsense": "2"}))
    assert changed == replace(TrainConfig(), batch_size=1)
