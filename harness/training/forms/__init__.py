"""The forms in which TFF takes models: Keras, functional, and with variables of their own.

A form makes of a scenario's model what the two executions and the evaluation need, so that these
do not ask what kind of model it is.
"""

from harness.training.forms.base import CannotPack, Form
from harness.training.forms.functional import FunctionalForm
from harness.training.forms.keras import KerasForm
from harness.training.forms.make import form_of
from harness.training.forms.variable import VariableForm

__all__ = ["CannotPack", "Form", "FunctionalForm", "KerasForm", "VariableForm", "form_of"]
