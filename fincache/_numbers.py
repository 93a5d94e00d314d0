"""Commands on a value as a number: decimal text, added to by the engine under the key's lock, so that nothing is lost (P4)."""

from __future__ import annotations

from fincache._arguments import Encodable, encode, integer, real
from fincache._commands import Commands, ReplyT
from fincache._core import refusal

_FLOAT_MAX = float.fromhex("0x1.fffffffffffffp+1023")


class NumberCommands(Commands[ReplyT]):
    """The commands on numbers. Not to be made alone: class Cache is."""

    def incr(self, name: Encodable, amount: int = 1) -> int:
        """Adds to a decimal 64-bit integer; a missing key counts as 0. The expiry is kept.

        Args:
            name: the key.
            amount: what to add; may be negative.

        Returns:
            The new value.

        Raises:
            NotAnInteger: the value is none.
            IncrementOverflow: the sum leaves 64 bits; the key keeps its value.
            Busy, OutOfMemory, ReadOnly: as for `set`.

        RESP: INCR, INCRBY.
        """
        session = self._session()
        return session.increment(self._database, self._encode(name), integer(amount, "amount"))

    def incrby(self, name: Encodable, amount: int = 1) -> int:
        """The same as `incr`. RESP: INCRBY."""
        return self.incr(name, amount)

    def decr(self, name: Encodable, amount: int = 1) -> int:
        """`incr` by -amount. RESP: DECR, DECRBY."""
        session = self._session()
        return session.increment(self._database, self._encode(name), integer(-integer(amount, "amount"), "-amount"))

    def decrby(self, name: Encodable, amount: int = 1) -> int:
        """The same as `decr`. RESP: DECRBY."""
        return self.decr(name, amount)

    def incrbyfloat(self, name: Encodable, amount: float = 1.0) -> float:
        """Adds to a decimal number; a missing key counts as 0. The expiry is kept.

        The sum is made of the decimal texts in long double, as Redis does: 0.1 three times is 0.3.

        Args:
            name: the key.
            amount: what to add.

        Returns:
            The new value, as a float; `get` has all its digits.

        Raises:
            NotAFloat: the value is no number; the amount is not finite.
            IncrementOverflow: the sum is not finite.
            Busy, OutOfMemory, ReadOnly: as for `set`.

        RESP: INCRBYFLOAT.
        """
        amount = real(amount, "amount", "Use a number.")
        if isinstance(amount, float) and not -_FLOAT_MAX <= amount <= _FLOAT_MAX:
            raise refusal("NOT_FLOAT", f"amount is {amount!r}", "Use a finite number.")
        session = self._session()
        return float(session.increment_float(self._database, self._encode(name), encode(amount)))
