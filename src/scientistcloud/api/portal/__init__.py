"""The routes that today's portal and its clients call, in the shapes that they expect."""
