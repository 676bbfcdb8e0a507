"""What goes wrong between us and the hub, in words that name the cure."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from sfxgen.errors import BadInput, SfxgenError


@contextlib.contextmanager
def hub_speaks_plainly(name: str) -> Iterator[None]:
    """Every failure of huggingface_hub within becomes an SfxgenError of one line."""
    try:
        yield
    except SfxgenError:
        raise
    except Exception as error:  # the hub's client raises its own errors, its HTTP client's and the system's
        raise plainly(error, name) from error


def plainly(error: Exception, name: str) -> SfxgenError:
    """The error as one line for the person who asked for `name`."""
    from huggingface_hub import constants, errors, get_token

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, errors.HfHubHTTPError):
        error = error.__cause__  # the client asked, was refused, and then only looked whether the file is here
    repo, _, revision = name.partition("@")
    page, pull = f"{constants.ENDPOINT}/{repo}", f"`sfxgen priors pull {name}`"
    if isinstance(error, errors.GatedRepoError):
        if get_token() is None:
            return SfxgenError(
                f"prior '{name}' is gated, and there is no token here: accept its licence at {page}, then log in with "
                "`hf auth login` or set HF_TOKEN"
            )
        return SfxgenError(
            f"prior '{name}' is gated, and the account of your token has not accepted its licence: accept it at "
            f"{page}, then run {pull}"
        )
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return BadInput(
            f"prior '{name}': the hub has no such model that you may see; check the spelling at {page}, or log in with "
            "`hf auth login` if it is private"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return BadInput(
            f"prior '{name}': {repo} has no revision '{revision}'; its commits are listed at {page}/commits"
        )
    if isinstance(error, errors.DisabledRepoError):
        return SfxgenError(f"prior '{name}': the hub has taken this model down; use another")
    if isinstance(error, errors.HfHubHTTPError) and error.response is not None:
        status = error.response.status_code
        if status in (401, 403):
            return SfxgenError(f"prior '{name}': the hub refuses your token ({status}); log in again: `hf auth login`")
        return SfxgenError(f"prior '{name}': the hub answers with error {status}; try {pull} again later")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return SfxgenError(
            f"prior '{name}': the disk of {constants.HF_HUB_CACHE} is full; make room there, or set HF_HOME to a "
            f"folder on a larger disk, and run {pull} again: it goes on where it stopped"
        )
    if isinstance(error, PermissionError):
        return SfxgenError(
            f"prior '{name}': {constants.HF_HUB_CACHE} must not be written; set HF_HOME to another folder"
        )
    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
    if isinstance(error, errors.LocalEntryNotFoundError | OSError) or type(error).__module__.startswith("httpx"):
        return SfxgenError(
            f"prior '{name}' is not on this machine, and {why}; go online and run {pull}, or copy the model's folder "
            "here and name that, or use `prior: library`"
        )
    return SfxgenError(f"prior '{name}' could not be downloaded: {type(error).__name__}: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """What an error says, cut to its first line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")
