import asyncio
import hashlib
import random

import pytest

from tests.gateway.harness import (
    PATIENCE,
    Remembers,
    Says,
    WebSocket,
    echo,
    run,
    running_gateway,
    target,
)


@pytest.mark.parametrize("seed", range(4))
def test_bytes_come_back_exactly_whatever_their_chunks(seed: int) -> None:
    chance = random.Random(seed)
    sizes = [chance.choice((0, 1, 125, 126, 127, 4096, 65_000, 65_535, 65_536, 131_072)) for _ in range(60)]
    chunks = [chance.randbytes(size) for size in sizes]

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)

            async def send() -> None:
                for chunk in chunks:
                    await client.send(chunk, key=chance.randbytes(4))
                    if chance.random() < 0.2:
                        await asyncio.sleep(chance.random() / 100)

            sending = asyncio.create_task(send())
            sent = b"".join(chunks)
            received = await client.receive(len(sent))
            await sending
            assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()
            await client.close()
            assert (await client.rest())[1].code == 1000
            end = await gateway.trail.end()
            assert (end.bytes_in, end.bytes_out, end.closure.code) == (len(sent), len(sent), 1000)

    run(test)
