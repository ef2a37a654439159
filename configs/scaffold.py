"""What `keyreel init` puts into a home. Files that are there stay; schemas are renewed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs.errors import BadFile
from configs.home import MARKER, Home
from configs.library import SHIPPED
from configs.notice import NAME
from configs.schema import write_schemas

FOLDERS = ("campaigns", "brand", "pipelines", "prompts", "models")
MARKED = """\
# This file makes the folder a keyreel home. 有了这个文件，此文件夹就是 keyreel 的工作目录。
#
# campaigns/    your briefs 活动文件              brand/      logos and photos 标志与实拍图
# pipelines/    your own pipelines 自定义流程     prompts/    your own templates 自定义提示词模板
# models/       downloaded weights 下载的模型
# deliveries/   finished files 成品               runs/       one page a run 每次运行的页面
# packages/     zips to hand over 打包好的交付     keys/       to sign with 签名证书与私钥
# store/, catalog/, cache/, site/ are kept by keyreel itself. 由 keyreel 自己维护。
#
# notify.yaml   who is told of what 何事通知谁
#
# models.yaml, profiles.yaml and deliveries.yaml beside this file add rows to the built-in ones.
# 与此文件同级的 models.yaml、profiles.yaml、deliveries.yaml 可增补内置条目。
format = 1
# What store/, runs/ and deliveries/ may take at most, in GB. 这三个文件夹最多占用的空间，单位 GB。
# disk_quota_gb = 200
"""
NOTICES = """\
# yaml-language-server: $schema=notify.schema.json
# Who is told of what. Addresses stand elsewhere. 何事通知谁；地址存放在别处。
#   tell:
#     - {to: env:OPS, on: [failed, late]}   # OPS=wecombot://KEY in the environment 环境变量
#     - {to: secret:boss}                   # a Secret block of Prefect: all occasions 所有情形
tell: []
"""


def scaffold(home: Home, *, demo: bool) -> None:
    """Fill a home's folder.

    Raises:
        BadFile: where a file stands where a folder must be, or it cannot be written.
    """
    try:
        for folder in FOLDERS:
            (home.root / folder).mkdir(parents=True, exist_ok=True)
        for target, content in _files(home, demo):
            _create(target, content)
        write_schemas(home.root)
    except OSError as error:
        where = error.filename or home.root
        raise BadFile(f"{where}: {error.strerror}; choose a folder that takes files") from None


def _create(target: Path, content: bytes) -> None:
    try:
        with target.open("xb") as file:  # "x" also refuses a symlink to nowhere
            file.write(content)
    except FileExistsError:
        pass


def _files(home: Home, demo: bool) -> Iterator[tuple[Path, bytes]]:
    """Yield each file and what goes into it; the starter stands on the demo's brand."""
    shipped = SHIPPED / "campaigns"
    name = "demo" if demo else "starter"
    yield home.root / MARKER, MARKED.encode()
    yield home.root / NAME, NOTICES.encode()
    yield home.campaigns / f"{name}.yaml", (shipped / f"{name}.yaml").read_bytes()
    for file in sorted((shipped / "brand").iterdir()):
        yield home.root / "brand" / file.name, file.read_bytes()
