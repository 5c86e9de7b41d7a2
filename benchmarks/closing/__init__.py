"""What becomes of resources, held by withal and by others: ``python -m benchmarks.closing``.

The same three resources, the same cancellation and the same failure go through each library, used
the way its documentation says. What happened is read from a log that the resources write.
"""
