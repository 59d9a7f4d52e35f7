"""A unit that comes with its standby (MPC-1): where the terms know one."""

from __future__ import annotations

from inventory.catalogue import DeviceClass, Service
from inventory.errors import NotEligible


def require_standby_unit(service: Service, device_class: DeviceClass | None, *, of_contractor: bool) -> None:
    """Raises NotEligible unless a unit of this class may come with a standby of the service.

    mpc: a class I unit (MPC-1). smfsx: a standby only registers an adapter (SMF-2). `of_contractor`: the unit is
    registered for the contractor whose management the standby belongs to.
    """
    if service == "smfsx":
        raise NotEligible(
            "an smfsx standby only registers an adapter; none comes with it",
            rule="SMF-2",
            next_step="Assign a rented adapter, or the contractor's own.",
        )
    if device_class != "I" or not of_contractor:
        raise NotEligible(
            "what comes with a standby is a class I unit of the contractor",
            rule="MPC-1",
            field="serial_number",
            next_step="Register the unit that was delivered for the contractor, in class I.",
        )
