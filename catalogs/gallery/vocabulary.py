"""The page's own words in Chinese and English."""

from __future__ import annotations

VOCABULARY: dict[str, tuple[str, str]] = {
    "mon": ("周一", "Mon"),
    "tue": ("周二", "Tue"),
    "wed": ("周三", "Wed"),
    "thu": ("周四", "Thu"),
    "fri": ("周五", "Fri"),
    "sat": ("周六", "Sat"),
    "sun": ("周日", "Sun"),
    "product": ("产品", "Product"),
    "day": ("日期", "Day"),
    "delivery": ("平台", "Platform"),
    "motion": ("运镜", "Motion"),
    "seed": ("种子", "Seed"),
    "template": ("模板", "Template"),
    "keyframe": ("首帧", "Keyframe"),
    "animate": ("动画", "Clip"),
    "took": ("用时", "Made in"),
    "prompt-picture": ("画面提示词", "Picture prompt"),
    "prompt-motion": ("动作提示词", "Motion prompt"),
    "failed-expand": ("提示词没有写成", "The prompt could not be written"),
    "failed-keyframe": ("首帧图没有做成", "The keyframe could not be made"),
    "failed-animate": ("短片没有做成", "The clip could not be made"),
    "failed-watermark": ("水印没有做成", "The watermark could not be made"),
    "failed-export": ("成片没有导出", "The delivery could not be exported"),
    "failed-sign": ("成片没有签名", "The delivery could not be signed"),
    "state-running": ("进行中", "running"),
    "state-done": ("已完成", "done"),
    "state-failed": ("部分失败", "some failed"),
    "state-interrupted": ("已中断", "interrupted"),
}
