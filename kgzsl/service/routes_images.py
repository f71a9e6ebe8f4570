"""Predictions from uploaded images."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from kgzsl.errors import InvalidInputError
from kgzsl.service import schemas
from kgzsl.service.answers import PROBLEMS, as_json, state_of
from kgzsl.service.problems import TooLargeError
from kgzsl.service.reading import Reader
from kgzsl.service.routes_bundles import predicted

router = APIRouter(prefix="/v1/bundles", tags=["bundles"], responses=PROBLEMS)

_TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}


@router.post(
    "/{bundle}/predict/images",
    summary="Images → classes",
    response_model=schemas.Predictions,
    openapi_extra=schemas.body("Images", "multipart/form-data"),
)
async def predict_images(bundle: str, request: Request) -> Response:
    """Predict image files (form field `files`, repeated); one that cannot be read has its `problem` in place of answers."""
    state = state_of(request)
    served = state.store.bundle(bundle)
    limits = state.settings.limits
    async with request.form(max_files=limits.images, max_fields=20, max_part_size=2**20) as form:
        asked = _asked(form)
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        if not files:
            raise InvalidInputError("at least one image is sent", received="no file", remedy="send them as form fields called `files`")
        if len(files) > limits.images:
            raise TooLargeError(f"a prediction is of at most {limits.images} images", received=len(files), remedy="send them in parts")
        names, contents = [part.filename or "" for part in files], [await part.read() for part in files]
    reader: Reader = state.once("reader", str(served.bundle.recipe), lambda: Reader(served, limits))
    found = await asyncio.gather(*(reader.read(data, state.helpers) for data in contents))
    sound = [row for row in found if not isinstance(row, str)]
    if not sound:
        raise InvalidInputError(
            "an image can be read", received="; ".join(dict.fromkeys(map(str, found))), remedy="send a JPEG, PNG, WebP, GIF, BMP or TIFF"
        )
    predictions = iter(await predicted(state, served, np.stack(sound), asked))
    nothing: dict[str, Any] = {"answers": [], "explanation": None, "backoff": None}
    told = [
        {**nothing, "file": name, "problem": row} if isinstance(row, str) else {**next(predictions), "file": name, "problem": None}
        for name, row in zip(names, found, strict=True)
    ]
    return as_json({"predictions": told})


def _asked(form: FormData) -> Mapping[str, Any]:
    """The form's fields as the JSON of `predict/features` has them."""
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    asked: dict[str, Any] = {"candidates": fields.get("candidates", "all")}
    try:
        asked["top"] = int(fields.get("top", "5"))
        asked["explain"] = _TRUTH[fields.get("explain", "false").lower()]
        asked["classes"] = orjson.loads(fields["classes"]) if fields.get("classes") else None
    except (ValueError, KeyError) as error:
        rule = "top is a number, explain true or false, classes a JSON list of ids"
        raise InvalidInputError(rule, received=str(error)[:200]) from error
    return asked
