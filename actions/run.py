"""The one door from StackStorm into the library: every python action of the pack enters here.

The immutable parameter `function` names a library function; all the rest is in `selfheal.door`.
"""

import os
import sys

from st2common.runners.base_action import Action

# StackStorm puts actions/lib on the path itself; this serves whoever starts the file in another
# way.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))


class Run(Action):
    """Calls the library function named by `function` and returns (succeeded, plain JSON)."""

    def __init__(self, config=None, action_service=None):
        super().__init__(config=config, action_service=action_service)

    def run(self, function, **parameters):
        from selfheal.door import call

        return call(function, parameters, config=self.config, logger=self.logger)
