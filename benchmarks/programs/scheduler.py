"""An operating system's kernel with tasks, devices and packets: small methods, attributes, polymorphic calls."""

LOOPS = 47

IDLE, WORK, HANDLER, DEVICE = range(4)


class Packet:
    def __init__(self, kind, source):
        self.kind = kind
        self.source = source
        self.data = [0, 0, 0, 0]
        self.link = None

    def append_to(self, queue):
        """Return *queue* with this packet at its end."""
        self.link = None
        if queue is None:
            return self
        packet = queue
        while packet.link is not None:
            packet = packet.link
        packet.link = self
        return queue


class Task:
    def __init__(self, kernel, priority):
        self.kernel = kernel
        self.priority = priority
        self.queue = None
        self.waiting = False
        self.held = False
        kernel.tasks.append(self)

    def is_runnable(self):
        return not self.held and (self.queue is not None or not self.waiting)

    def receive(self, packet):
        self.queue = packet.append_to(self.queue)
        self.waiting = False

    def take(self):
        packet = self.queue
        if packet is not None:
            self.queue = packet.link
        return packet

    def step(self):
        packet = self.take()
        self.kernel.steps += 1
        return self.run(packet)

    def run(self, packet):
        raise NotImplementedError


class Idle(Task):
    """Releases one of the devices at a time, by a shift register."""

    def __init__(self, kernel, priority, turns):
        super().__init__(kernel, priority)
        self.turns = turns
        self.register = 1

    def run(self, packet):
        self.turns -= 1
        if self.turns == 0:
            self.held = True
            return
        if self.register & 1:
            self.register = (self.register >> 1) ^ 0xD008
            self.kernel.release(1)
        else:
            self.register >>= 1
            self.kernel.release(0)


class Worker(Task):
    """Sends filled packets to the two handlers in turn."""

    def __init__(self, kernel, priority):
        super().__init__(kernel, priority)
        self.target = 0
        self.letter = 0

    def run(self, packet):
        if packet is None:
            self.waiting = True
            return
        for place in range(4):
            self.letter = self.letter + 1 if self.letter < 26 else 1
            packet.data[place] = self.letter
        self.target = 1 - self.target
        packet.source = self
        self.kernel.handlers[self.target].receive(packet)


class Handler(Task):
    """Passes each packet on to its device, and back to the worker when it is done."""

    def __init__(self, kernel, priority, device):
        super().__init__(kernel, priority)
        self.device = device
        self.done = 0

    def run(self, packet):
        if packet is None:
            self.waiting = True
            return
        if packet.kind == WORK:
            packet.kind = DEVICE
            self.device.receive(packet)
        else:
            self.done += sum(packet.data)
            packet.kind = WORK
            packet.source.receive(packet)


class Device(Task):
    """Waits for its release between taking a packet and giving it back."""

    def __init__(self, kernel, priority):
        super().__init__(kernel, priority)
        self.handler = None
        self.pending = None

    def run(self, packet):
        if packet is None:
            if self.pending is None:
                self.waiting = True
            else:
                pending, self.pending = self.pending, None
                self.handler.receive(pending)
        else:
            done, self.pending = self.pending, packet
            self.held = True
            if done is not None:
                self.handler.receive(done)


class Kernel:
    def __init__(self, turns):
        self.tasks = []
        self.steps = 0
        self.idle = Idle(self, 0, turns)
        self.worker = Worker(self, 1000)
        self.devices = [Device(self, 4000), Device(self, 5000)]
        self.handlers = [Handler(self, 2000, self.devices[0]), Handler(self, 3000, self.devices[1])]
        for device, handler in zip(self.devices, self.handlers):
            device.handler = handler
        self.tasks.sort(key=lambda task: -task.priority)
        for _ in range(3):
            self.worker.receive(Packet(WORK, self.worker))

    def release(self, number):
        self.devices[number].held = False
        self.devices[number].waiting = False

    def run(self):
        """Run the first runnable task, by priority, until none is left."""
        while True:
            for task in self.tasks:
                if task.is_runnable():
                    task.step()
                    break
            else:
                return self.steps, [handler.done for handler in self.handlers]


def main(loops):
    result = None
    for _ in range(loops):
        result = Kernel(2000).run()
    return result
