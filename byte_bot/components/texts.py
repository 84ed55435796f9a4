"""The sentences a component says, in every language of the bot.

A component keeps them in one class attribute and asks for them by name::

    class Greeter(Component):
        texts = Texts(en={"hello": "Hello, {name}!"}, pt_br={"hello": "Olá, {name}!"})

        @command()
        async def hello(self, ctx: Context) -> None:
            await ctx.reply(ctx.text(self.texts, "hello", name=ctx.author))

The templates are the component's own. What viewers typed only ever is a value put into one, once: braces in it stay
braces. A missing translation or a field that only one language knows is an error at start, not a silence in chat.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping

from byte_bot.errors import ComponentError


class Texts:
    """Sentences by language, then by name.

    Args:
        languages: for ``en`` and ``pt_br``, the templates by name; all must have the same names and ``{fields}``.
    """

    def __init__(self, **languages: Mapping[str, str]) -> None:
        if "en" not in languages:
            raise ComponentError("texts need at least en={…}")
        english = languages["en"]
        for language, texts in languages.items():
            differences = [*_differences(english, texts)]
            if differences:
                raise ComponentError(f"texts in {language} and en differ in: {', '.join(differences)}")
        self._languages = {name.replace("_", "-"): dict(texts) for name, texts in languages.items()}

    def get(self, language: str, name: str, /, **fields: object) -> str:
        """The sentence in ``language`` (English if there is none), with its fields filled."""
        texts = self._languages.get(language, self._languages["en"])
        return texts[name].format(**fields)


def _differences(english: Mapping[str, str], texts: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*english, *texts}):
        if name not in english or name not in texts or _fields(english[name]) != _fields(texts[name]):
            yield name


def _fields(template: str) -> list[str]:
    return sorted(field for _, field, _, _ in string.Formatter().parse(template) if field is not None)
