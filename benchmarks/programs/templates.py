"""A template language compiled to closures, and rendered: strings, joins, dict look-ups, calls through variables."""

LOOPS = 2300

TEMPLATE = """<h1>{{ title|upper }}</h1>
<p>{{ intro }}</p>
{% for row in rows %}<tr class="{% if row.even %}even{% else %}odd{% end %}">
{% for cell in row.cells %}  <td>{{ cell|escape }}</td>
{% end %}</tr>
{% end %}<footer>{{ rows|length }} rows, {{ missing|default }}</footer>
"""


def escape(value):
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FILTERS = {"upper": str.upper, "escape": escape, "length": len, "default": lambda value: value or "n/a"}


def tokens(text):
    """Yield (kind, content) of each piece of the template."""
    place = 0
    while place < len(text):
        start = min((found for found in (text.find("{{", place), text.find("{%", place)) if found >= 0), default=-1)
        if start < 0:
            yield "text", text[place:]
            return
        if start > place:
            yield "text", text[place:start]
        closing = "}}" if text[start + 1] == "{" else "%}"
        end = text.index(closing, start)
        yield ("value" if closing == "}}" else "tag"), text[start + 2:end].strip()
        place = end + 2


def look_up(path):
    first, *rest = path.split(".")

    def get(context):
        value = context.get(first)
        for name in rest:
            value = value[name]
        return value
    return get


def compile_value(expression):
    path, *filters = expression.split("|")
    get = look_up(path.strip())
    chosen = [FILTERS[name.strip()] for name in filters]

    def render(context, out):
        value = get(context)
        for function in chosen:
            value = function(value)
        out.append(str(value))
    return render


def compile_text(text):
    def render(context, out):
        out.append(text)
    return render


def compile_for(name, path, body):
    get = look_up(path)

    def render(context, out):
        inner = dict(context)
        for item in get(context):
            inner[name] = item
            for part in body:
                part(inner, out)
    return render


def compile_if(path, then, otherwise):
    get = look_up(path)

    def render(context, out):
        for part in then if get(context) else otherwise:
            part(context, out)
    return render


def compile_parts(stream):
    """Compile up to the tag that ends this block; return the parts and that tag."""
    parts = []
    for kind, content in stream:
        if kind == "text":
            parts.append(compile_text(content))
        elif kind == "value":
            parts.append(compile_value(content))
        elif content in ("end", "else"):
            return parts, content
        else:
            word, *arguments = content.split()
            if word == "for":
                body, _ = compile_parts(stream)
                parts.append(compile_for(arguments[0], arguments[2], body))
            else:
                then, ended_by = compile_parts(stream)
                otherwise = compile_parts(stream)[0] if ended_by == "else" else []
                parts.append(compile_if(arguments[0], then, otherwise))
    return parts, None


def main(loops):
    context = {
        "title": "report", "intro": "All <that> we know & more.",
        "rows": [{"even": number % 2 == 0, "cells": [number, f"<{number}>", number * 1.5, "x & y"]}
                 for number in range(60)],
    }
    total = 0
    for _ in range(loops):
        parts, _ = compile_parts(tokens(TEMPLATE))
        out = []
        for part in parts:
            part(context, out)
        total += len("".join(out))
    return total
