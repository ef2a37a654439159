"""The page's own words, days and amounts, in Chinese and English."""

from __future__ import annotations

import datetime as dt

from configs.base import Words

WEEKDAYS = ("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

VOCABULARY = {
    word: Words(zh=zh, en=en)
    for word, zh, en in (
        ("product", "产品", "Product"),
        ("day", "日期", "Day"),
        ("delivery", "平台", "Platform"),
        ("portrait", "竖版", "portrait"),
        ("square", "方形", "square"),
        ("landscape", "横版", "landscape"),
        ("motion", "运镜", "Motion"),
        ("seed", "种子", "Seed"),
        ("template", "模板", "Template"),
        ("keyframe", "首帧", "Keyframe"),
        ("animate", "短片", "Clip"),
        ("took", "用时", "Made in"),
        ("export", "成片", "Delivery"),
        ("sign", "成片", "Delivery"),
        ("model", "模型", "Model"),
        ("prompt", "提示词", "Prompt"),
        ("negative", "反向提示词", "Negative prompt"),
        ("steps", "步数", "Steps"),
        ("guidance", "引导强度", "Guidance"),
        ("width", "宽", "Width"),
        ("height", "高", "Height"),
        ("frames", "帧数", "Frames"),
        ("fps", "帧率", "Frame rate"),
        ("device", "设备", "Device"),
        ("versions", "版本", "Versions"),
        ("approved", "已通过", "approved"),
        ("rejected", "已拒绝", "rejected"),
        ("reseeded", "换种子", "another seed"),
        ("none", "未审核", "not judged"),
        ("queued", "排队中", "queued"),
        ("cancelling", "正在停止", "stopping"),
        ("picture-prompt", "画面提示词", "Picture prompt"),
        ("motion-prompt", "运动提示词", "Motion prompt"),
        ("footage-prompt", "视频提示词", "Clip prompt"),
        ("push-in", "推近", "push in"),
        ("pull-out", "拉远", "pull out"),
        ("orbit-left", "向左环绕", "orbit left"),
        ("orbit-right", "向右环绕", "orbit right"),
        ("pan-left", "左摇", "pan left"),
        ("pan-right", "右摇", "pan right"),
        ("tilt-up", "上仰", "tilt up"),
        ("tilt-down", "下俯", "tilt down"),
        ("turntable", "转台旋转", "turntable"),
        ("static", "固定机位", "static"),
        ("expand-failed", "提示词没有写成", "The prompt could not be written"),
        ("keyframe-failed", "首帧图没有做成", "The keyframe could not be made"),
        ("animate-failed", "短片没有做成", "The clip could not be made"),
        ("watermark-failed", "水印没有做成", "The watermark could not be made"),
        ("export-failed", "成片没有导出", "The delivery could not be exported"),
        ("sign-failed", "成片没有签名", "The delivery could not be signed"),
        ("running", "进行中", "still running"),
        ("done", "全部完成", "all done"),
        ("failed", "部分失败", "some failed"),
        ("interrupted", "已中断", "interrupted"),
        ("waiting", "等待审核", "waits for approval"),
    )
}


def term(word: str) -> Words:
    """Return a word of the vocabulary in both languages, or the word itself."""
    return VOCABULARY.get(word) or Words(zh=word, en=word)


def day(iso: str) -> Words:
    """Return an ISO date as people write it, e.g. `3月2日 周一` and `Mon 2 Mar`."""
    try:
        date = dt.date.fromisoformat(iso)
    except ValueError:
        return Words(zh=iso, en=iso)
    chinese, english = (names[date.weekday()] for names in WEEKDAYS)
    return Words(
        zh=f"{date.month}月{date.day}日 周{chinese}",
        en=f"{english} {date.day} {MONTHS[date.month - 1]}",
    )


def span(days: list[str]) -> Words:
    """Return the first and last of some sorted ISO dates, with the year."""
    if not days:
        return Words()
    first, last = day(days[0]), day(days[-1])
    if first == last:
        return Words(zh=f"{days[0][:4]}年{first.zh}", en=f"{first.en} {days[0][:4]}")
    return Words(
        zh=f"{days[0][:4]}年{first.zh} – {last.zh}", en=f"{first.en} – {last.en} {days[-1][:4]}"
    )


def duration(seconds: float) -> Words:
    """Return a time in the two largest units that matter, e.g. `2 min 14 s`."""
    if seconds < 60:
        return Words(zh=f"{seconds:.1f} 秒", en=f"{seconds:.1f} s")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return Words(zh=f"{hours} 小时 {minutes} 分", en=f"{hours} h {minutes} min")
    return Words(zh=f"{minutes} 分 {rest} 秒", en=f"{minutes} min {rest} s")


def size(count: int) -> str:
    """Return a number of bytes in the unit people use for files, e.g. `3.2 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"
