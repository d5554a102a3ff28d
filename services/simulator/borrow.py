"""Arrays without reference counting inside one call of a compiled loop.

Every compiled call that is handed some thirty arrays would count their references up and down, atomically, which costs
as much as the arithmetic of a quiet minute. A borrowed array is the same memory without an owner, so counting is
skipped. It must not outlive the call that borrowed it; the caller of that call holds the owner.
"""

from typing import Any, TypeVar

from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from packages.common.jit import kernel
from services.policy.kernel import Rows
from services.simulator.tables import Constants, Events, Inputs, Market, Out, Scratch, State

ArrayT = TypeVar("ArrayT")

_make_array: Any = make_array
_null: Any = cgutils.get_null_value


def _without_owner(_typing: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = _make_array(signature.args[0])(context, builder, args[0])
        view.meminfo = _null(view.meminfo.type)
        view.parent = _null(view.parent.type)
        return view._getvalue()

    return array(array), codegen


_unowned: Any = intrinsic(_without_owner)


@kernel
def borrow(array: ArrayT) -> ArrayT:
    """The same array, unowned."""
    return _unowned(array)  # type: ignore[no-any-return]


@kernel
def borrow_state(x: State) -> State:
    """State of borrowed arrays."""
    return State(borrow(x.account), borrow(x.positions), borrow(x.pending), borrow(x.memory))


@kernel
def borrow_constants(x: Constants) -> Constants:
    """Constants of borrowed arrays."""
    return Constants(borrow(x.rules), borrow(x.brackets), x.fee_now)


@kernel
def borrow_out(x: Out) -> Out:
    """Buffers of borrowed arrays."""
    events = Events(
        borrow(x.events.n),
        borrow(x.events.trades),
        borrow(x.events.entries),
        borrow(x.events.lapses),
        borrow(x.events.payments),
    )
    scratch = Scratch(
        borrow(x.scratch.active),
        borrow(x.scratch.order),
        borrow(x.scratch.ev),
        borrow(x.scratch.book),
        borrow(x.scratch.room),
    )
    return Out(Rows(borrow(x.rows.table), borrow(x.rows.notes)), events, scratch, x.all_rows)


@kernel
def borrow_inputs(x: Inputs) -> Inputs:
    """Inputs of borrowed arrays."""
    return Inputs(
        x.ts_ms,
        borrow(x.flags),
        x.account_flags,
        x.regime,
        borrow(x.exit_request),
        borrow(x.last),
        borrow(x.mark),
        borrow(x.qm),
        borrow(x.atr),
        borrow(x.atr1),
        borrow(x.rate),
        borrow(x.preds),
        borrow(x.beta),
        borrow(x.tier),
    )


@kernel
def borrow_market(x: Market) -> Market:
    """A market of borrowed arrays."""
    return Market(
        borrow(x.ts_ms),
        borrow(x.flags),
        borrow(x.account_flags),
        borrow(x.regime),
        borrow(x.exit_request),
        borrow(x.last),
        borrow(x.mark),
        borrow(x.qm),
        borrow(x.atr),
        borrow(x.atr1),
        borrow(x.rate),
        borrow(x.preds),
        borrow(x.beta),
        borrow(x.tier),
        borrow(x.day_row),
    )
