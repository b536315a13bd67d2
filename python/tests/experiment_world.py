"""What the tests of the experiment store share."""

import subprocess
import sys
import textwrap


def agent(name, step=0, **values):
    """A tuple in the documented shape."""
    row = {
        "agent_id": name, "position_x": 1.5, "position_y": 2.5, "resource_level": 3.0,
        "current_health": 90.0, "starting_health": 100.0, "starvation_counter": 0,
        "is_defending": False, "total_reward": 0.5, "age": step,
    }  # fmt: skip
    return tuple((row | values).values())


def script(text, *args):
    """Starts another process that runs this."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, args)], stdout=subprocess.PIPE, text=True
    )
