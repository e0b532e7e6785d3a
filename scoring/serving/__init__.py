"""What `service` is made of: the champion at work, its context, who may ask, and what is answered."""
