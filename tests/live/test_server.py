import numpy as np


def positions(message):
    """(atoms, 3) of a frame."""
    count = int(np.frombuffer(message, "<u4", 1, 8)[0])
    return np.frombuffer(message, "<f4", 3 * count, 64 + 36).reshape(-1, 3)


def test_a_client_pulls_an_atom_and_it_arrives(chain, start, join):
    session, target = start(chain, mode="langevin", temperature_K=10, friction=1.0), np.array([3.0, 4.0, 0.0])
    with join(session) as client:
        assert client.until("hello")["steers"]
        assert client.until("structure")["symbols"] == ["C"] * 4
        client.send("pull", atoms=[3], to=target.tolist(), id=7)
        assert client.until("done")["id"] == 7
        frame = client.until("frame", lambda m: np.linalg.norm(positions(m)[3] - target) < 0.3)
        atom, *numbers = np.frombuffer(frame, np.dtype("<u4, (6,)<f4"), 1, len(frame) - 28)[0]
        assert atom == 3
        np.testing.assert_allclose(numbers[0][:3], target)
