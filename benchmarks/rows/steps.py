"""Durable steps and whole approvals, through the real worker's path, with a model and tools that answer at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from statistics import median

from benchmarks.bench import PLATFORM, ROLE, Figure, People, Scale, opened, running
from benchmarks.rows import raw
from core.adapters.models.scripted import Step, say, turn_of, use
from core.model.events import Conversation
from core.model.ids import task_of_event
from core.model.unit import AddEffect, ClaimEffects
from core.model.work import Begun, Brief, CallModel, Task
from core.ports import ModelRequest
from core.rules.plan import begin
from core.runtime.context import Context
from core.runtime.perform import Performer
