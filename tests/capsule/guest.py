"""The container's side of the tests: load, call, say what came out."""

import base64
import json
import sys
import traceback


def main():
    job = json.load(sys.stdin)
    sys.path.insert(0, job["runtime"])
    from flyte_jupyter.spec import calling
    from flyte_jupyter.wire.values import Encoded, decode, encode
    from flyte_jupyter.worker.alias import install_alias
    from flyte_jupyter.worker.load import load

    install_alias()

    calls = []

    class Dispatcher:
        def call(self, task, args, kwargs):
            bound = task.bind(args, kwargs)
            calls.append(
                [task.name, sorted(bound), dict(task.overrides).get("retries") is not None]
            )
            return ["called", task.name, *bound.values()]

        def aio(self, task, args, kwargs):
            async def outcome():
                return self.call(task, args, kwargs)

            return outcome()

    calling.set_dispatcher(Dispatcher())
    try:
        buffers = [base64.b64decode(one) for one in job["buffers"]]
        loaded = load(job["payload"], buffers, place=job["place"])
        sys.modules["__main__"] = loaded.module
        buffers = [base64.b64decode(one) for one in job["arg_buffers"]]
        args = decode(Encoded(job["args"], buffers), classes=loaded.classes)
        value = loaded.callable(*args)
        if loaded.is_async:
            import asyncio

            value = asyncio.run(value)
        encoded = encode(value, class_hash=loaded.class_hash)
    except BaseException as error:
        shown = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    else:
        shown = {
            "value": encoded.tree,
            "buffers": [base64.b64encode(one).decode() for one in encoded.buffers],
            "calls": calls,
        }
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
