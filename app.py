"""Taller: ask your documents, chat with a local model, fine-tune it with one click.

The only entry. `python app.py` serves the page; `chat`, `ask`, `search`, `index`, `train` and `runs` do the same
work in the terminal. Reads the arguments, builds the settings once and hands them on.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from core.errors import AppError
from core.settings import MEBIBYTE, Settings
from ui.i18n import explain, terminal_language, translate

SHORTEST_PASSWORD = 10
COMMANDS = ("serve", "chat", "ask", "search", "index", "train", "runs")


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status: 0 done, 1 an error the user can act on, 2 wrong arguments."""
    language = terminal_language()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # Windows' terminals default to an encoding without ñ in some places
            stream.reconfigure(encoding="utf-8", errors="replace")
    if not arguments or (arguments[0] not in COMMANDS and arguments[0] not in ("-h", "--help")):
        arguments = ["serve", *arguments]
    options = parser(language).parse_args(arguments)
    try:
        return run(options, language)
    except AppError as error:
        print(explain(language, error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run(options: argparse.Namespace, language: str) -> int:
    settings = settings_of(options)
    if options.command == "serve":
        from ui.serve import ServeOptions, serve

        return serve(settings, language, ServeOptions(
            host=options.host, port=options.port, share=options.share, password=password_of(options, language),
            allowed_hosts=tuple(options.allow_host), open_browser=not options.no_browser))
    if options.command in ("train", "runs"):
        return run_training(options, settings, language)
    from ui import terminal

    if options.command == "index":
        return terminal.index(settings, language, forget_missing=options.forget_missing, as_json=options.json)
    if options.command == "search":
        return terminal.search(settings, language, options.query, options.queries, as_json=options.json)
    if options.command == "ask":
        return terminal.ask(settings, language, options.question, options.engine, options.model,
                            as_json=options.json)
    return terminal.chat(settings, language, options.engine, options.model, as_json=options.json)


def run_training(options: argparse.Namespace, settings: Settings, language: str) -> int:
    from ui.terminal_train import TrainOptions, list_runs, train

    if options.command == "runs":
        return list_runs(settings, language, as_json=options.json)
    return train(settings, language, TrainOptions(
        dataset=options.dataset, model=options.model, changes=tuple(options.set), columns=options.columns,
        resume=options.resume, skip_bad_rows=options.skip_bad_rows, prepare=options.prepare, as_json=options.json))


def password_of(options: argparse.Namespace, language: str) -> str | None:
    """The owner's password, from TALLER_PASSWORD or typed in: the command line can be read by everyone on the machine.

    Raises AppError `password_short`.
    """
    password = os.environ.get("TALLER_PASSWORD") or None
    if options.password and password is None:
        password = getpass.getpass(translate(language, "terminal.type_password"))
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise AppError("password_short", least=SHORTEST_PASSWORD)
    return password


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings these arguments and the environment ask for."""
    defaults = Settings()
    return Settings(
        docs_dir=options.docs, data_dir=options.data, max_file_bytes=options.max_file_mb * MEBIBYTE,
        embedding_model=options.embedding_model,
        top_k=getattr(options, "top_k", defaults.top_k),
        ollama_host=os.environ.get("OLLAMA_HOST") or defaults.ollama_host,
    )


def parser(language: str) -> argparse.ArgumentParser:
    """The command line, explained in `language`."""
    def text(key: str) -> str:
        return translate(language, f"cli.{key}")

    defaults = Settings()
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--docs", type=Path, default=defaults.docs_dir, metavar="DIR", help=text("docs"))
    common.add_argument("--data", type=Path, default=defaults.data_dir, metavar="DIR", help=text("data"))
    common.add_argument("--json", action="store_true", help=text("json"))
    common.add_argument("--max-file-mb", type=positive, default=defaults.max_file_bytes // MEBIBYTE, metavar="MB",
                        help=text("max_file_mb"))
    common.add_argument("--embedding-model", default=defaults.embedding_model, metavar="ID",
                        help=text("embedding_model"))
    top = argparse.ArgumentParser(prog="app.py", description=text("description"), parents=[])
    commands = top.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")

    serve = commands.add_parser("serve", parents=[common], help=text("serve"))
    serve.add_argument("--host", default="127.0.0.1", help=text("host"))
    serve.add_argument("--port", type=positive, default=7860, help=text("port"))
    serve.add_argument("--share", action="store_true", help=text("share"))
    serve.add_argument("--password", action="store_true", help=text("password"))
    serve.add_argument("--allow-host", action="append", default=[], metavar="NAME", help=text("allow_host"))
    serve.add_argument("--no-browser", action="store_true", help=text("no_browser"))

    for name in ("chat", "ask"):
        command = commands.add_parser(name, parents=[common], help=text(name))
        if name == "ask":
            command.add_argument("question", help=text("question"))
        command.add_argument("--engine", help=text("engine"))
        command.add_argument("--model", help=text("model"))
        command.add_argument("--top-k", type=positive, default=defaults.top_k, help=text("top_k"))

    search = commands.add_parser("search", parents=[common], help=text("search"))
    search.add_argument("query", nargs="?", help=text("question"))
    search.add_argument("--queries", type=Path, metavar="FILE.jsonl", help=text("queries"))
    search.add_argument("--top-k", type=positive, default=defaults.top_k, help=text("top_k"))

    index = commands.add_parser("index", parents=[common], help=text("index"))
    index.add_argument("--forget-missing", action="store_true", help=text("forget_missing"))

    train = commands.add_parser("train", parents=[common], help=text("train"))
    train.add_argument("dataset", type=Path, nargs="?", help=text("dataset"))
    train.add_argument("--model", help=text("base_model"))
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=text("set"))
    train.add_argument("--columns", metavar="NAME=COLUMN,…", help=text("columns"))
    train.add_argument("--skip-bad-rows", action="store_true", help=text("skip_bad_rows"))
    train.add_argument("--resume", metavar="RUN", help=text("resume"))
    train.add_argument("--prepare", action="store_true", help=text("prepare"))

    commands.add_parser("runs", parents=[common], help=text("runs"))
    return top


def positive(value: str) -> int:
    """An argument that is a whole number above zero."""
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
