"""The library searched, sorted and paged: what is found, in which order, and what it costs."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bus.paging import CursorInvalid
from bus.writes import encode_document
from contracts.actor import Actor
from contracts.asset.errors import FilterInvalid
from contracts.asset.types import AssetSort
from contracts.permissions import Role
from handlers.asset.colors import cell_of, lab_of, near
from handlers.asset.documents import Asset, Media
from handlers.asset.queries import AssetCursor, AssetFilter, list_assets, list_tags
from handlers.asset.queries.search import SORTED_BY
from handlers.asset.queries.tags import TagCursor
from handlers.asset.words import WORDS, fold, label, tag_of, words_of, words_sought
from tests.handlers.asset.conftest import Library

EDITOR = Actor(user="usr_eda", org="org_acme", role=Role.EDITOR)
OTHER = Actor(user="usr_otto", org="org_other", role=Role.EDITOR)
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def asset(number: int = 0, **values: Any) -> Asset:
    media = {
        name: values.pop(name) for name in ("width", "height", "dominant_color") if name in values
    }
    given: dict[str, Any] = {
        "id": f"ast_{number:026}",
        "organization_id": "org_acme",
        "blob_id": "blb_1",
        "name": f"photo {number}.png",
        "kind": "image",
        "media_type": "image/png",
        "bytes": 1000 + number,
        "sha256": f"{number:064x}",
        "status": "ready",
        "created_at": DAY + timedelta(days=number),
        "updated_at": DAY + timedelta(days=number),
        "media": Media(pipeline=1, **media),
    }
    return Asset(**{**given, **values})


async def stored(*assets: Asset) -> None:
    await Asset.get_pymongo_collection().insert_many([encode_document(each) for each in assets])


async def names(actor: Actor = EDITOR, **sought: Any) -> list[str]:
    page = await list_assets(actor, AssetCursor(limit=200), AssetFilter(**sought))
    return [each.name for each in page.items]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("photo", {"Photo of Übergröße.jpg"}),
        ("uber", {"Photo of Übergröße.jpg"}),
        ("ÜBERGRÖSSE", {"Photo of Übergröße.jpg"}),
        ("uber pho", {"Photo of Übergröße.jpg"}),
        ("tromso", {"Tromsø_IMG-2034 (final).PNG"}),
        ("2034 final", {"Tromsø_IMG-2034 (final).PNG"}),
        ("img-2034", {"Tromsø_IMG-2034 (final).PNG"}),
        ("夏秋", {"春夏秋冬.png"}),
        ("summer", {"春夏秋冬.png"}),
        ("034", set()),
        (".*", set()),
        ("^p", {"Photo of Übergröße.jpg", "春夏秋冬.png", "Tromsø_IMG-2034 (final).PNG"}),
        ("[a-z]+zzz", set()),
        ("$where", set()),
        ("photo uberx", set()),
        ("\\", set()),
    ],
)
async def test_words_are_found_by_how_they_begin(library: Library, q: str, found: set[str]) -> None:
    await stored(
        asset(1, name="Photo of Übergröße.jpg"),
        asset(2, name="Tromsø_IMG-2034 (final).PNG"),
        asset(3, name="春夏秋冬.png", tags=["Summer"]),
        asset(4, name="photo of another", organization_id="org_other"),
    )
    assert set(await names(q=q)) == found


async def test_a_name_is_found_whole_or_by_its_beginning(library: Library) -> None:
    await stored(asset(1, name="Café.png"), asset(2, name="café.png.bak"), asset(3, name="*"))
    assert await names(name="CAFE.png") == ["Café.png"]
    assert await names(name="cafe*") == ["Café.png", "café.png.bak"]
    assert await names(name="cafe") == []
    assert await names(name=".*") == []
    assert await names(name="**") == ["*"]


async def test_each_filter_narrows_and_all_hold_together(library: Library) -> None:
    await stored(
        asset(1, name="a", width=200, height=100, tags=["x", "y"], project_id="prj_1"),
        asset(2, name="b", width=100, height=200, tags=["x"], created_by="usr_eda"),
        asset(3, name="c", width=100, height=100, media_type="image/webp", folder_id="fld_1"),
        asset(4, name="d", kind="video", media_type="video/mp4", status="failed"),
        asset(5, name="e", kind="font", media_type="font/woff2", tags=["y", "X"]),
    )
    for sought, found in (
        ({}, "abcde"),
        ({"tag": "x"}, "ab"),
        ({"tags": "x,y"}, "a"),
        ({"tags": "y", "tag": "X"}, "e"),
        ({"kind": "video,font"}, "de"),
        ({"kind": "font"}, "e"),
        ({"status": "failed"}, "d"),
        ({"status": "failed,ready"}, "abcde"),
        ({"media_type": "image/*"}, "abc"),
        ({"media_type": "IMAGE/WebP"}, "c"),
        ({"orientation": "landscape"}, "a"),
        ({"orientation": "portrait"}, "b"),
        ({"orientation": "square"}, "c"),
        ({"min_width": 101}, "a"),
        ({"max_width": 100, "min_height": 101}, "b"),
        ({"max_height": 100}, "ac"),
        ({"min_bytes": 1002, "max_bytes": 1003}, "bc"),
        ({"min_bytes": 1002, "max_bytes": 1002}, "b"),
        ({"created_after": "2026-01-03T00:00:00Z"}, "bcde"),
        ({"created_before": "2026-01-03T00:00:00Z"}, "a"),
        (
            {
                "updated_after": "2026-01-05T01:00:00+01:00",
                "updated_before": "2026-01-06T00:00:00Z",
            },
            "d",
        ),
        ({"project_id": "prj_1"}, "a"),
        ({"project_id": "none"}, "bcde"),
        ({"folder_id": "fld_1"}, "c"),
        ({"folder_id": "root"}, "abde"),
        ({"under": "fld_1"}, ""),
        ({"uploaded_by": "usr_eda"}, "b"),
        ({"sha256": f"{4:064x}"}, "d"),
        ({"q": "a", "tag": "x", "kind": "image", "min_width": 1, "orientation": "landscape"}, "a"),
        ({"q": "a", "tag": "x", "kind": "image", "orientation": "portrait"}, ""),
    ):
        assert "".join(await names(**sought)) == found, sought
    assert await names(OTHER) == []


async def test_what_contradicts_itself_is_refused_by_name(library: Library) -> None:
    for sought, name in (
        ({"min_bytes": 2, "max_bytes": 1}, "min_bytes"),
        ({"min_width": 2, "max_width": 1}, "min_width"),
        (
            {"created_after": "2026-01-02T00:00:00Z", "created_before": "2026-01-01T00:00:00Z"},
            "created_after",
        ),
    ):
        with pytest.raises(FilterInvalid) as refused:
            await names(**sought)
        assert refused.value.errors[0].pointer == name


@pytest.mark.parametrize(
    "sought",
    [
        {"kind": "image,nonsense"},
        {"kind": ""},
        {"status": "trash"},
        {"tags": "a,,b"},
        {"tag": "a\x00"},
        {"color": "red"},
        {"color": "#12345"},
        {"color_tolerance": 51},
        {"media_type": "png"},
        {"media_type": "*/*"},
        {"orientation": "round"},
        {"min_bytes": -1},
        {"created_after": "yesterday"},
        {"created_after": "1700000000"},
        {"created_after": "2026-01-01T00:00:00"},
        {"folder_id": "top"},
        {"under": "root"},
        {"uploaded_by": "me"},
        {"q": ""},
    ],
)
def test_what_no_filter_can_be_is_refused(sought: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        AssetFilter(**sought)
    assert refused.value.errors()[0]["loc"][0] == next(iter(sought))


async def test_colours_are_found_by_nearness(library: Library) -> None:
    await stored(
        asset(1, name="red", dominant_color="#ff0000"),
        asset(2, name="reddish", dominant_color="#f01414"),
        asset(3, name="green", dominant_color="#00ff00"),
        asset(4, name="black", dominant_color="#000000"),
        asset(5, name="none"),
    )
    assert await names(color="#ff0000") == ["red", "reddish"]
    assert await names(color="FF0000", color_tolerance=0) == ["red"]
    assert await names(color="#050505", color_tolerance=5) == ["black"]
    assert await names(color="#0000ff") == []


@given(
    st.tuples(*[st.integers(0, 255)] * 3), st.tuples(*[st.integers(0, 255)] * 3), st.integers(0, 50)
)
def test_no_colour_that_is_near_lies_outside_of_the_cells_looked_at(
    one: tuple[int, ...], other: tuple[int, ...], within: int
) -> None:
    first, second = (lab_of("#{:02x}{:02x}{:02x}".format(*each)) for each in (one, other))
    assert first is not None
    assert second is not None
    cells = near(first, within)["color_cell"]["$in"]
    assert len(cells) <= 125, "more than MongoDB merges by order"
    if sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) <= within**2:
        assert cell_of(second) in cells


def test_known_colours_are_where_they_belong() -> None:
    assert lab_of("#ffffff") == pytest.approx((100, 0, 0), abs=0.05)
    assert lab_of("#ff0000") == pytest.approx((53.24, 80.09, 67.20), abs=0.05)
    assert lab_of("#0000FF") == pytest.approx((32.30, 79.19, -107.86), abs=0.05)
    assert lab_of("red") is None


@given(st.text(max_size=200))
def test_whatever_is_written_has_words_that_find_it(text: str) -> None:
    words = words_of([text])
    assert len(words) <= WORDS
    assert all(len(word.encode()) <= 200 for word in words)
    for sought in words_sought(text)[: WORDS // 4]:
        assert any(word.startswith(sought) for word in words) or len(words) == WORDS
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=50, alphabet=st.characters(exclude_categories=["Cc", "Cs"])))
def test_a_label_is_of_one_tag(tag: str) -> None:
    assert tag_of(label(tag)) == tag


# sorting


async def walk(sort: Any, limit: int, **sought: Any) -> list[str]:
    found: list[str] = []
    cursor = AssetCursor(sort=sort, limit=limit)
    while True:
        page = await list_assets(EDITOR, cursor, AssetFilter(**sought))
        found += [each.id for each in page.items]
        if page.next_cursor is None:
            return found
        assert len(page.items) == limit
        cursor = cursor.model_copy(update={"cursor": page.next_cursor})


async def test_pages_hold_everything_once_in_order_also_among_equals_and_without_a_value(
    library: Library,
) -> None:
    made = [
        asset(n, name=f"N{n % 3} Ä", bytes=n % 4, updated_at=DAY + timedelta(n % 2))
        for n in range(14)
    ]
    documents = [encode_document(each) for each in made]
    for document in documents[3:6]:
        # As stored before there were such fields.
        del document["name_key"], document["updated_at"]
    await Asset.get_pymongo_collection().insert_many(documents)
    for sort, limit in itertools.product(get_args(AssetSort), (1, 2, 3, 14, 200)):
        field = SORTED_BY[sort.removeprefix("-")]
        expected = sorted(
            documents,
            key=lambda each: (
                (
                    each.get(field) is not None,
                    each.get(field) or 0 if field != "name_key" else each.get(field) or "",
                    each["_id"],
                )
                if each.get(field) is not None
                else (False, "" if field == "name_key" else _least(field), each["_id"])
            ),
            reverse=sort.startswith("-"),
        )
        assert await walk(sort, limit) == [each["_id"] for each in expected], (sort, limit)


def _least(field: str) -> Any:
    return {"updated_at": datetime.min.replace(tzinfo=UTC), "_id": ""}.get(field, -1)


async def test_others_who_add_and_delete_move_nothing_into_or_out_of_what_is_still_to_come(
    library: Library,
) -> None:
    made = [asset(n, name=f"{chr(97 + n)}") for n in range(8)]
    await stored(*made)
    first = await list_assets(EDITOR, AssetCursor(sort="name", limit=3))
    assert [each.name for each in first.items] == ["a", "b", "c"]
    await Asset.get_pymongo_collection().delete_many({"name": {"$in": ["a", "c", "e"]}})
    await stored(asset(20, name="aa"), asset(21, name="dd"))
    rest = await list_assets(EDITOR, AssetCursor(sort="name", cursor=first.next_cursor))
    assert [each.name for each in rest.items] == ["d", "dd", "f", "g", "h"]


async def test_a_cursor_is_good_for_one_order_and_one_meaning(library: Library) -> None:
    await stored(*(asset(n, tags=["x"]) for n in range(4)))
    page = await list_assets(EDITOR, AssetCursor(sort="name", limit=2), AssetFilter(tag="x"))
    cursor = page.next_cursor
    again = await list_assets(EDITOR, AssetCursor(sort="name", cursor=cursor), AssetFilter(tag="x"))
    assert len(again.items) == 2
    for sort, sought, actor in (
        ("-name", {"tag": "x"}, EDITOR),
        ("created_at", {"tag": "x"}, EDITOR),
        ("name", {"tag": "y"}, EDITOR),
        ("name", {}, EDITOR),
        ("name", {"tag": "x", "q": "photo"}, EDITOR),
        ("name", {"tag": "x"}, OTHER),
    ):
        with pytest.raises(CursorInvalid):
            await list_assets(
                actor,
                AssetCursor(sort=sort, cursor=cursor),
                AssetFilter(**sought),
            )


async def test_the_longest_name_there_can_be_makes_a_cursor_that_is_taken(library: Library) -> None:
    await stored(*(asset(n, name="ﷺ" * 100 + str(n)) for n in range(3)))
    assert len(await walk("name", 1)) == 3


# what it costs


async def test_a_page_reads_no_more_than_it_needs(library: Library) -> None:
    rare = ["needle"]
    many = [
        asset(
            n,
            name=f"photo {n * 7919 % 20000:05} {'haystack' if n % 2000 else 'needle'}",
            tags=["common"] if n % 2000 else rare,
            kind="image" if n % 1000 else "font",
            folder_id=f"fld_{n % 100}",
            dominant_color="#%06x" % (n * 839),
        )
        for n in range(20_000)
    ]
    collection = Asset.get_pymongo_collection()
    documents = await asyncio.to_thread(lambda: [encode_document(each) for each in many])
    for at in range(0, len(documents), 5000):
        await collection.insert_many(documents[at : at + 5000])

    async def read(page_of: Any) -> int:
        """Documents and keys that MongoDB looks at for it, by its profiler."""
        await library.database.command("profile", 2)
        await page_of
        await library.database.command("profile", 0)
        profile = library.database["system.profile"]
        found = [each async for each in profile.find({"ns": {"$regex": "assets$"}})]
        await profile.drop()
        assert found
        return int(sum(max(each["docsExamined"], each["keysExamined"]) for each in found))

    for sort in get_args(AssetSort):
        page = await list_assets(EDITOR, AssetCursor(sort=sort, limit=50))
        for cursor in (None, page.next_cursor):
            asked = list_assets(EDITOR, AssetCursor(sort=sort, limit=50, cursor=cursor))
            assert await read(asked) <= 60, (sort, cursor)
    for sought, most in (
        ({"q": "needle"}, 25),
        ({"q": "need"}, 25),
        ({"tag": "needle"}, 15),
        ({"name": "photo 00042*"}, 5),
        ({"kind": "font"}, 25),
        ({"folder_id": "fld_7"}, 60),
        ({"q": "nowhere"}, 3),
        ({"sha256": "a" * 64}, 3),
        ({"created_after": "2080-09-01T00:00:00Z"}, 60),
    ):
        asked = list_assets(EDITOR, AssetCursor(limit=50), AssetFilter(**sought))
        assert await read(asked) <= most, sought
    in_a_folder = AssetFilter(folder_id="fld_7")
    first = await list_assets(EDITOR, AssetCursor(sort="-name", limit=50), in_a_folder)
    cursor = AssetCursor(sort="-name", limit=50, cursor=first.next_cursor)
    assert await read(list_assets(EDITOR, cursor, in_a_folder)) <= 60

    tags = await list_tags(EDITOR, TagCursor())
    assert [(each.tag, each.assets) for each in tags.items] == [
        ("common", 19_990), ("needle", 10),
    ]  # fmt: skip


# tags


async def test_tags_are_listed_with_their_numbers_page_by_page(library: Library) -> None:
    await stored(
        asset(1, tags=["Summer", "beach"]),
        asset(2, tags=["summer", "Äpfel"]),
        asset(3, tags=["Summer", "winter"]),
        asset(4, tags=["secret"], organization_id="org_other"),
    )
    found: list[tuple[str, int]] = []
    cursor = TagCursor(limit=2)
    while True:
        page = await list_tags(EDITOR, cursor)
        found += [(each.tag, each.assets) for each in page.items]
        if page.next_cursor is None:
            break
        cursor = TagCursor(limit=2, cursor=page.next_cursor)
    assert found == [("Äpfel", 1), ("beach", 1), ("Summer", 2), ("summer", 1), ("winter", 1)]
    some = await list_tags(EDITOR, TagCursor(), prefix="SU")
    assert [each.tag for each in some.items] == ["Summer", "summer"]
    assert (await list_tags(EDITOR, TagCursor(), prefix=".*")).items == ()
    first = await list_tags(EDITOR, TagCursor(limit=1))
    with pytest.raises(CursorInvalid):
        await list_tags(EDITOR, TagCursor(cursor=first.next_cursor), prefix="su")
