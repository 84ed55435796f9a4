"""What the fixtures of the pytest plugin give: worlds, fakes, faults and crowds for one test in virtual time.

The plugin itself is the module `byte_sim_pytest`, which knows pytest; nothing here does. A test is a *night* (`night.py`): a virtual
loop in which its *parts* stand (`sim_world.py`, `fake_twitch.py`, `fake_supabase.py`, `sim_faults.py`, `sim_audience.py`) on common
*ground* (`ground.py`) while it runs. Only `sim_world.py` imports `byte_bot`.
"""
