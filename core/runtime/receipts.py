"""What a press proves: the card it is on has arrived, and where. So a platform that cannot be asked (Sending.BLIND)
tells us after all, and the decision can be shown on that very message.
"""

from __future__ import annotations

from core.model.events import ControlPressed, Event
from core.model.inquiries import Delivery, DeliveryState
from core.model.unit import MoveDelivery, MovePost, PostState, State, Table, Unit
from core.model.views import InquiryCard
from core.runtime.context import Context


async def learn(context: Context, event: Event, delivery: Delivery) -> None:
    """Fill in the receipt that a cut-off sending left empty. Does nothing when it is known, or somebody was faster."""
    if not isinstance(event, ControlPressed) or not event.message or delivery.receipt:
        return
    for row in await context.store.read.posts(conversation=delivery.conversation):
        card = row.post.view
        if isinstance(card, InquiryCard) and card.delivery == delivery.id and row.state is PostState.UNCERTAIN:
            guard = State(table=Table.POST, id=row.post.id, states=(PostState.UNCERTAIN.value,))
            found = MovePost(id=row.post.id, state=PostState.SENT, receipt=event.message)
            shown = MoveDelivery(id=delivery.id, state=DeliveryState.POSTED, receipt=event.message)
            await context.store.commit(Unit(guards=(guard,), changes=(found, shown)))
            return
