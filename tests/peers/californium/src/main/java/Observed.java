import java.net.InetSocketAddress;
import java.util.Timer;
import java.util.TimerTask;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.elements.config.Configuration;

/** A device on Californium that takes downlinks and can be observed. Arguments: port. Resources as in aiocoap_device.py. */
public class Observed {
    static class Changing extends CoapResource {
        private int count;
        private final int size;

        Changing(String name, long every, int size, int last) {
            super(name);
            this.size = size;
            setObservable(true);
            setObserveType(Type.CON);
            new Timer(true).schedule(new TimerTask() {
                public void run() {
                    count++;
                    if (count == last)
                        clearAndNotifyObserveRelations(ResponseCode.NOT_FOUND);
                    else
                        changed();
                }
            }, every, every);
        }

        public void handleGET(CoapExchange exchange) {
            byte[] number = (count + " ").getBytes();
            byte[] body = java.util.Arrays.copyOf(number, number.length + size);
            exchange.respond(ResponseCode.CONTENT, body);
        }
    }

    public static void main(String[] arguments) throws Exception {
        CoapConfig.register();
        Configuration configuration = Configuration.createStandardWithoutFile();
        CoapServer server = new CoapServer(configuration);
        server.addEndpoint(CoapEndpoint.builder().setConfiguration(configuration)
            .setInetSocketAddress(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]))).build());
        server.add(new CoapResource("downlink") {
            public void handlePOST(CoapExchange exchange) {
                byte[] got = exchange.getRequestPayload();
                byte[] reversed = new byte[got.length];
                for (int i = 0; i < got.length; i++)
                    reversed[i] = got[got.length - 1 - i];
                exchange.respond(ResponseCode.CHANGED, reversed, 42);
            }
        });
        server.add(new CoapResource("silent") {
            public void handlePOST(CoapExchange exchange) {
                exchange.accept();
            }
        });
        server.add(new Changing("clock", 200, 0, -1), new Changing("large", 1000, 3000, -1), new Changing("short", 500, 0, 3));
        server.start();
        System.out.println("ready");
    }
}
