"""The durable invisible mark of stills: forty bits in the pixels that outlive their metadata."""
