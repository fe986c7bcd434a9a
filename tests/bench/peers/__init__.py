"""The same decision on other task queues: a chain of batches, each a fan-out with a barrier.

Each peer runs a plan's tasks as messages of their own and the next batch when the last one is done,
as its documentation recommends or, where it has no barrier, by an atomic count in Redis.
``run(plans, flight)`` submits that many plans with so many in flight and gives the seconds each
took from its submission until its last batch was done.
"""
