"""A model of an iterator: a cursor between the entries of a sorted list."""


class Model:
    def __init__(
        self,
        keys,
        reverse=False,
        start=None,
        stop=None,
        include_start=True,
        include_stop=False,
        prefix=None,
        order=bytes,
    ):
        def inside(key):
            if prefix is not None:
                return key.startswith(prefix)
            above = start is None or order(key) > order(start) or (include_start and order(key) == order(start))
            below = stop is None or order(key) < order(stop) or (include_stop and order(key) == order(stop))
            return above and below

        self.order = order
        self.keys = [key for key in sorted(keys, key=order) if inside(key)]
        self.reverse = reverse
        self.stop = None if prefix is not None else stop
        self.position = len(self.keys) if reverse else 0

    def step(self, up):
        if self.position == (len(self.keys) if up else 0):
            return StopIteration
        self.position += 1 if up else -1
        return self.keys[self.position - 1 if up else self.position]

    def next(self):
        return self.step(not self.reverse)

    def prev(self):
        return self.step(self.reverse)

    def seek(self, target):
        if self.stop is not None and self.order(target) > self.order(self.stop):
            target = self.stop
        self.position = sum(self.order(key) < self.order(target) for key in self.keys)

    def seek_to_start(self):
        self.position = 0

    def seek_to_stop(self):
        self.position = len(self.keys)
