"""All stages, in the order a campaign meets them. A new one is a file beside this, and a line."""

from __future__ import annotations

from collections.abc import Mapping

from tasks import animate, caption, expand, export, keyframe, label, sign, sound, title, watermark
from tasks.stage import Stage

STAGES: Mapping[str, Stage] = {
    stage.id: stage
    for stage in (
        expand.STAGE,  # intent -> the models' prompts
        keyframe.STAGE,  # prompt -> picture
        animate.STAGE,  # picture, motion -> clip
        watermark.STAGE,  # logo, picture beneath -> overlay
        label.STAGE,  # the words that say a model made it
        title.STAGE,  # words, picture or clip beneath -> a subtitle file
        sound.STAGE,  # music, a voice -> a track as long as the delivery
        caption.STAGE,  # templates -> title, text and hashtags to publish with the file
        export.STAGE,  # clip or picture, overlay -> the platform's file
        sign.STAGE,  # the platform's file -> the same with metadata and a signature
    )
}
