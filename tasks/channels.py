"""Who is on call and how they are told: the section `oncall` of `conf/`. It holds no secret.

An address that lets anybody post (a webhook's URL, a mail server with its password) is named by
the environment variable that holds it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tasks.sections import Section

_NAME = r"^[a-z][a-z0-9_-]{0,39}$"
_VARIABLE = r"^[A-Z][A-Z0-9_]{0,79}$"
_PERSON = r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,59}$"


class ChannelSettings(Section):
    """One way to tell people of a new item."""

    name: str = Field(pattern=_NAME, description="How the ledger calls it.")
    kind: Literal["webhook", "slack", "teams", "email", "prefect"] = Field(
        description=(
            "'webhook' posts JSON; 'slack' and 'teams' post what their incoming webhooks take;"
            " 'email' speaks SMTP; 'prefect' uses a notification block of Prefect."
        )
    )
    url_variable: str | None = Field(
        None,
        pattern=_VARIABLE,
        description=(
            "The environment variable with the address: https://... for webhooks,"
            " smtp://user:password@host:587 or smtps://... for e-mail."
        ),
    )
    sender_variable: str | None = Field(
        None, pattern=_VARIABLE, description="E-mail: the variable with the sender's address."
    )
    recipients_variable: str | None = Field(
        None,
        pattern=_VARIABLE,
        description="E-mail: the variable with the recipients' addresses, divided by commas.",
    )
    block: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9-]{0,60}/[a-z0-9][a-z0-9-]{0,60}$",
        description="Prefect: the block's type and name, for example slack-webhook/oncall.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> ChannelSettings:
        wanted = {
            "email": ("url_variable", "sender_variable", "recipients_variable"),
            "prefect": ("block",),
        }.get(self.kind, ("url_variable",))
        missing = [name for name in wanted if getattr(self, name) is None]
        if missing:
            raise ValueError(f"the channel '{self.name}' ({self.kind}) needs {', '.join(missing)}")
        return self


class OncallSettings(Section):
    """Who reviews what was refused, and how they are told."""

    people: tuple[str, ...] = Field(
        ("oncall",),
        min_length=1,
        max_length=100,
        description=(
            "Names that log in to the page, each with a secret of its own in the state directory;"
            " decisions carry them."
        ),
    )
    page_url: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.\[\]:-]+$",
        description=(
            "Scheme, host and port at which people reach the page, where a proxy stands before it;"
            " by default loopback and `services.oncall_port`."
        ),
    )
    second_person: bool = Field(
        False,
        description=(
            "Whether letting refused rows in needs a second person's approval: they would be"
            " learnt from. A corrected file never does, since it is judged by every rule."
        ),
    )
    maximum_waiver_days: int = Field(
        90, ge=1, le=400, description="A waiver may not last longer; then it is asked anew."
    )
    preview_refused: bool = Field(
        True,
        description="Whether a refused batch is tried on a branch at once, to tell what it costs.",
    )
    preview_score_change: float = Field(
        0.05, gt=0, lt=1, description="A preview counts scores that change by more than this."
    )
    maximum_upload_mb: int = Field(
        512, ge=1, le=100_000, description="A corrected file that the page takes at most."
    )
    channels: tuple[ChannelSettings, ...] = Field(
        (), max_length=20, description="Who is told of a new item that stops something, and how."
    )

    @model_validator(mode="after")
    def _names_are_good(self) -> OncallSettings:
        import re

        for person in self.people:
            if not re.fullmatch(_PERSON, person):
                raise ValueError(f"'{person}' is no name: letters, digits and _ . @ + - only")
        for names in ([p.casefold() for p in self.people], [c.name for c in self.channels]):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{', '.join(twice)} stands there twice")
        return self
