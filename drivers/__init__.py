"""How a vendor speaks: text in, text out. Only drivers/sessions and drivers/simulator open sockets."""
