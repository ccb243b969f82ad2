from flyte_jupyter.notebook.logtail import LogTail


def fed(*pieces: str, lines: int | None = 200) -> LogTail:
    tail = LogTail(lines)
    for piece in pieces:
        tail.feed(piece)
    return tail


def test_lines_may_come_in_any_pieces() -> None:
    assert fed("on", "e\ntw", "o\n", "three").lines == ["one", "two", "three"]


def test_a_progress_bar_is_one_line_however_often_it_is_drawn() -> None:
    tail = fed(*(f"\r{percent}%" for percent in range(101)))
    assert tail.lines == ["100%"]


def test_a_bar_that_ends_with_a_carriage_return_stays_visible() -> None:
    assert fed("10%\r", "20%\r").lines == ["20%"]


def test_windows_line_ends_are_line_ends() -> None:
    assert fed("one\r\ntwo\r\n").lines == ["one", "two"]


def test_colours_and_cursor_movements_are_taken_out() -> None:
    assert fed("\x1b[31mred\x1b[0m\x1b[2K\x07\n").lines == ["red"]


def test_only_the_newest_lines_are_kept_and_the_others_counted() -> None:
    tail = fed("".join(f"{n}\n" for n in range(10)), lines=3)
    assert (tail.lines, tail.dropped) == (["7", "8", "9"], 7)


def test_a_bar_on_one_stream_does_not_run_into_a_line_on_the_other() -> None:
    tail = LogTail()
    tail.feed("\r50%", "stderr")
    tail.feed("hello\n", "stdout")
    tail.feed("\r100%\n", "stderr")
    assert tail.lines == ["hello", "100%"]


def test_a_line_that_never_ends_is_bounded() -> None:
    tail = LogTail()
    for _ in range(1000):
        tail.feed("x" * 1000)
    assert len(tail.lines[0]) == 2000
    assert tail.lines[0].endswith("…")
