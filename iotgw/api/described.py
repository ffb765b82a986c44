"""Fields that several requests or answers have, with what the API's description says of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=255)]

OfDatasource = Annotated[Text | None, Meta(description="Only messages of this datasource, by name or id.")]
OfDevice = Annotated[Text | None, Meta(description="Only messages of this device.")]
WithText = Annotated[Text | None, Meta(description="Only messages whose metadata has this text in it.")]
OfGroup = Annotated[
    Text | None, Meta(description="Only those of this group of failures, by its id in `GET /failures`.")
]

DraftScript = Annotated[
    str | None, Meta(description="An unsaved script; without it, the active version or `version` runs.")
]
DraftFiles = Annotated[dict[str, str] | None, Meta(description="Further files of the draft, by their names.")]
DraftDialect = Annotated[str, Meta(description="For which platform the draft is written; `auto` finds out.")]
DraftEngine = Annotated[
    Literal["auto", "duktape", "quickjs"],
    Meta(description="Which engine runs the draft; `auto` takes the one that its language asks for."),
]
SavedVersion = Annotated[
    Annotated[int, Meta(ge=1)] | None, Meta(description="The number of a saved version to run.")
]

NextPage = Annotated[
    str | None, Meta(description="Goes into `after` for the following page; null at the end.")
]
Before = Annotated[
    str | None, Meta(description="Goes into `before` for older ones; null where there are none.")
]
LookedBackTo = Annotated[
    int,
    Meta(
        description="What was received since then has been looked at: milliseconds since 1970; 0 is all of it."
    ),
]
